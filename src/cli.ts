#!/usr/bin/env node
/** The binary `mutual-rooms`: nothing but the process around commands/program.ts. */
import { run } from './commands/program.js';
import { processTerminal } from './commands/terminal.js';

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
