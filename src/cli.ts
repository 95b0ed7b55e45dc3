#!/usr/bin/env node
/** The binary `mutual-rooms`: nothing but the process around commands/program.ts. */
import { endAtSignals, startFault } from './commands/process-start.js';

endAtSignals();
const fault = startFault();
if (fault !== undefined) {
  process.stderr.write(`mutual-rooms: ${fault}\n`);
  process.exit(1);
}
// The other modules are read from here on.
const [{ run }, { processTerminal }, { reportUncaught }] = await Promise.all([
  import('./commands/program.js'),
  import('./commands/terminal.js'),
  import('./commands/command-error.js'),
]);
process.on('uncaughtException', (error) =>
  process.exit(reportUncaught(error, (text) => processTerminal.err(text))),
);

// Who reads our output may stop early, as `head` does: then there is nobody left to tell.
process.stdout.on('error', (error: NodeJS.ErrnoException) => {
  if (error.code === 'EPIPE') process.exit(0);
  throw error;
});

// Set rather than exit(): what was written to a pipe still has to leave.
// The timer keeps the process until then: a fetch whose peer hangs up holds nothing that would, and node would end here.
const alive = setInterval(() => undefined, 2 ** 30);
process.exitCode = await run(process.argv.slice(2), processTerminal);
clearInterval(alive);
