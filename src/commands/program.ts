/**
 * The command line: what there is, what it takes, and its help. Each command is loaded only when it runs, so that
 * `--help` does not wait for the server's modules.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError } from 'commander';
import { exitCodes, report } from './command-error.js';
import { addServerCommands } from './server-commands.js';
import { addStoreCommands } from './store-commands.js';
import type { Terminal } from './terminal.js';

/** @returns the exit code */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = makeProgram(terminal);
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    // Commander has written its text. Help and version that were asked for end as an "error" of exit code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
    // Who reads our output may stop early, as `head` does.
    if ((error as NodeJS.ErrnoException | undefined)?.code === 'EPIPE') return exitCodes.ok;
    const level = terminal.env.MUTUAL_ROOMS_LOG_LEVEL;
    const withStack = program.opts().debug === true || level === 'debug' || level === 'trace';
    return report(error, (text) => terminal.err(text), withStack);
  }
}

export function makeProgram(terminal: Terminal): Command {
  const program = new Command('mutual-rooms')
    .description('Which rooms do two users of a Matrix homeserver share? An in-memory index that answers.')
    .version(version(), '--version', 'show the version')
    .helpOption('--help', 'show this help; after a command, the help of that')
    .helpCommand(false)
    .option('--debug', 'show the stack of errors')
    .configureOutput({ writeOut: (text) => terminal.out(text), writeErr: (text) => terminal.err(text) })
    .configureHelp({ helpWidth: 100 })
    .showSuggestionAfterError()
    .showHelpAfterError('(--help shows what there is)')
    .exitOverride()
    .addHelpText('after', programExamples);

  addServerCommands(program, terminal);
  addStoreCommands(program, terminal);
  return program;
}

const programExamples = `
Examples:
  mutual-rooms demo                                    try it, without any configuration
  mutual-rooms serve --config mutual-rooms.yaml        run the server
  mutual-rooms import members.ndjson.gz --config mutual-rooms.yaml
  mutual-rooms backup ./backup --config mutual-rooms.yaml
  mutual-rooms doctor --config mutual-rooms.yaml       when something does not work

Exit codes: 0 done, 1 failed, 2 wrong usage or configuration.`;

function version(): string {
  // Two folders up from src and from dist alike.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
