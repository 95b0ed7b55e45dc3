#!/usr/bin/env node
/**
 * The binary `mutual-rooms`: nothing but the process around commands/program.ts.
 *
 * Invariant: output that cannot be written ends nothing by itself. A server goes on without it, and a command whose result it is
 * fails, unless its reader had enough, as `head` has.
 */
import { endAtSignals, startFault } from './commands/process-start.js';

endAtSignals();
const fault = startFault();
if (fault !== undefined) {
  process.stderr.write(`mutual-rooms: ${fault}\n`);
  process.exit(1);
}
// The other modules are read from here on.
const [{ run }, { processTerminal }, { exitCodes, reportUncaught }] = await Promise.all([
  import('./commands/program.js'),
  import('./commands/terminal.js'),
  import('./commands/command-error.js'),
]);
let exitCode: number = exitCodes.ok;
process.on('uncaughtException', (error) => {
  // Behind a command that has failed comes more of the same: Node 20 throws again what a module threw as it was loaded.
  if (exitCode === exitCodes.ok) exitCode = reportUncaught(error, (text) => processTerminal.err(text));
  process.exit(exitCode);
});

let lost: NodeJS.ErrnoException | undefined;
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code !== 'EPIPE') lost ??= error;
});
// Nobody is left to be told.
process.stderr.on('error', () => undefined);

// Set rather than exit(): what was written to a pipe still has to leave.
// The timer keeps the process until then: a fetch whose peer hangs up holds nothing that would, and node would end here.
const alive = setInterval(() => undefined, 2 ** 30);
exitCode = await run(process.argv.slice(2), processTerminal);
// Node tells of a failed write a turn later.
await new Promise(setImmediate);
if (lost !== undefined) process.stderr.write(`mutual-rooms: stdout could not be written: ${lost.message}\n`);
process.exitCode = lost !== undefined && exitCode === exitCodes.ok ? exitCodes.failed : exitCode;
clearInterval(alive);
