/**
 * The command line: what there is, what it takes, and its help. Each command is loaded only when it runs, so that
 * `--help` does not wait for the server's modules.
 */
import { readFileSync } from 'node:fs';
import { Command, CommanderError, InvalidArgumentError } from 'commander';
import { exitCodes, report } from './command-error.js';
import type { GrantsOptions } from './grants.js';
import type { StoreDirectoryOptions } from './store-directory.js';
import type { Terminal } from './terminal.js';

const configHelp = 'YAML configuration; default: what MUTUAL_ROOMS_CONFIG names, else the environment alone';

/** @returns the exit code */
export async function run(args: readonly string[], terminal: Terminal): Promise<number> {
  const program = makeProgram(terminal);
  try {
    await program.parseAsync(args, { from: 'user' });
    return exitCodes.ok;
  } catch (error) {
    // Commander has written its text. Help and version that were asked for end as an "error" of exit code 0.
    if (error instanceof CommanderError) return error.exitCode === 0 ? exitCodes.ok : exitCodes.usage;
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

  program
    .command('serve')
    .description('run the server until SIGTERM or SIGINT')
    .option('--config <file>', configHelp)
    .addHelpText('after', serveExamples)
    .action(async (options: { config?: string }) => {
      const { serve } = await import('./serve.js');
      await serve(options, terminal);
    });

  program
    .command('start')
    .description('serve, when there is a configuration; else demo')
    .option('--config <file>', configHelp)
    .action(async (options: { config?: string }) => {
      if (options.config !== undefined || terminal.env.MUTUAL_ROOMS_CONFIG !== undefined) {
        const { serve } = await import('./serve.js');
        await serve(options, terminal);
      } else {
        const { demo } = await import('./demo.js');
        await demo({}, terminal);
      }
    });

  program
    .command('import')
    .description('send a file of memberships to the running server')
    .argument('<file>', 'NDJSON, also packed with gzip; - is stdin')
    .option('--config <file>', configHelp)
    .option('--url <url>', 'base URL of the server; default: where the configuration listens')
    .option('--strict', 'stop at the first rejected line, with exit code 1')
    .addHelpText('after', importExamples)
    .action(async (file: string, options: { config?: string; url?: string; strict?: boolean }) => {
      const { importFile } = await import('./import.js');
      await importFile({ file, ...options }, terminal);
    });

  program
    .command('demo')
    .description('run a server with a made-up community in it, and print requests to try')
    .option(
      '--port <n>',
      'port to listen on (default: 8090, or any free one when that is taken)',
      whole(0, 65_535),
    )
    .option('--users <n>', 'users in the community (default: 10000)', whole(10, 1_000_000))
    .option('--rooms <n>', 'rooms in the community (default: 2000)', whole(20, 1_000_000))
    .option('--seed <n>', 'another seed is another community (default: 1)', whole(0, 2 ** 32 - 1))
    .action(async (options: { port?: number; users?: number; rooms?: number; seed?: number }) => {
      const { demo } = await import('./demo.js');
      await demo(options, terminal);
    });

  const ofStore = (name: string, description: string): Command =>
    program
      .command(name)
      .description(description)
      .option('--config <file>', configHelp)
      .option('--data-dir <dir>', 'folder of the store; default: data_dir of the configuration');

  ofStore('verify', 'check all of the store, beside a running server too')
    .addHelpText('after', '\nThe first fault is named, with exit code 1.')
    .action(async (options: StoreDirectoryOptions) => {
      const { verify } = await import('./verify.js');
      await verify(options, terminal);
    });

  ofStore('backup', 'copy the store as it is now, beside a running server too')
    .argument('<dir>', 'folder for the copy: it is made, or is empty')
    .addHelpText('after', backupExamples)
    .action(async (directory: string, options: StoreDirectoryOptions) => {
      const { backup } = await import('./backup.js');
      await backup({ directory, ...options }, terminal);
    });

  ofStore('export', 'write all memberships as NDJSON, beside a running server too')
    .argument('[file]', 'packed with gzip when it ends in .gz; - or none is stdout')
    .addHelpText('after', exportExamples)
    .action(async (file: string | undefined, options: StoreDirectoryOptions) => {
      const { exportStore } = await import('./export.js');
      await exportStore({ file, ...options }, terminal);
    });

  ofStore('compact', 'drop from the store the IDs that are joined to nothing')
    .addHelpText('after', compactText)
    .action(async (options: StoreDirectoryOptions) => {
      const { compact } = await import('./compact.js');
      await compact(options, terminal);
    });

  program
    .command('grants')
    .description("print the SQL that makes the role that reads Synapse's PostgreSQL")
    .option('--config <file>', configHelp)
    .option('--role <name>', 'default: the user of source.synapse.postgres, else mutual_rooms')
    .option('--database <name>', 'default: the database of source.synapse.postgres, else synapse')
    .option('--schema <name>', "where Synapse's tables are (default: public)")
    .addHelpText('after', grantsText)
    .action(async (options: GrantsOptions) => {
      const { grants } = await import('./grants.js');
      grants(options, terminal);
    });

  program
    .command('doctor')
    .description('check what serve needs, and say what to do')
    .option('--config <file>', configHelp)
    .addHelpText('after', '\nIt changes nothing. Exit code 1 when a check failed.')
    .action(async (options: { config?: string }) => {
      const { doctor } = await import('./doctor.js');
      await doctor(options, terminal);
    });

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

const serveExamples = `
Once it is ready, it says on stdout in one line where it listens; logs go to stderr.

Examples:
  mutual-rooms serve --config mutual-rooms.yaml
  MUTUAL_ROOMS_LISTEN_PORT=9000 mutual-rooms serve --config mutual-rooms.yaml`;

const backupExamples = `
To restore a copy, stop the server and give its folder as data_dir.

Example:
  mutual-rooms backup /var/backups/mutual-rooms-$(date +%F) --config mutual-rooms.yaml`;

const exportExamples = `
A line is what import takes, so this moves memberships from one store to another. While it runs, the
store of a running server grows by what is changed: do not leave it waiting for a reader.

Examples:
  mutual-rooms export memberships.ndjson.gz --config mutual-rooms.yaml
  mutual-rooms export --data-dir ./data | grep example.org | wc -l`;

const compactText = `
The server must not run: stop it first. It compacts by itself at start, when store.compact_at_waste of
all IDs are joined to nothing. Page tokens go on. The store is written anew beside the old one, so
there must be space for both.`;

const grantsText = `
It connects to nothing. The role may read memberships and how far Synapse has written them: no event, no
user, no token. It has no password until you give it one; the SQL says how, and may be run again.
With --role and --database no configuration is read.

Example:
  mutual-rooms grants --config mutual-rooms.yaml | sudo -u postgres psql -v ON_ERROR_STOP=1 -d synapse`;

const importExamples = `
A line is {"user_id":"@alice:example.org","room_id":"!room:example.org","membership":"join"}.
The service token comes from the configuration or MUTUAL_ROOMS_SERVICE_TOKEN.

Rejected lines are listed by number and reason (the first 100) and do not stop the rest: the exit
code is 0, and the summary counts them. With --strict nothing behind the first one is sent, and the
exit code is 1. Applying a line twice does no harm, so batches are sent again when the server is
busy or away for a while, and after an error the whole file may be imported again.

Examples:
  mutual-rooms import members.ndjson.gz --config mutual-rooms.yaml
  psql ... | mutual-rooms import - --url http://127.0.0.1:8090`;

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}

function version(): string {
  // Two folders up from src and from dist alike.
  const text = readFileSync(new URL('../../package.json', import.meta.url), 'utf8');
  return (JSON.parse(text) as { version: string }).version;
}
