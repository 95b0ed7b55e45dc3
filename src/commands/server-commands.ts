/** The commands of a server: run it, feed it, and what it takes to set it up. */
import { type Command, InvalidArgumentError } from 'commander';
import { configHelp } from './config-help.js';
import type { GrantsOptions } from './grants.js';
import type { Terminal } from './terminal.js';

export function addServerCommands(program: Command, terminal: Terminal): void {
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
    .description('serve, when there is a configuration, also one in the environment alone; else demo')
    .option('--config <file>', configHelp)
    .action(async (options: { config?: string }) => {
      const { isConfigured } = await import('../config/load.js');
      if (isConfigured({ file: options.config, env: terminal.env })) {
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

  program
    .command('options')
    .description('list every key of the configuration, with its environment variable and default')
    .action(async () => {
      const { optionsPage } = await import('../config/options-page.js');
      terminal.out(optionsPage());
    });
}

const serveExamples = `
Once it is ready, it says on stdout in one line where it listens; logs go to stderr.

Examples:
  mutual-rooms serve --config mutual-rooms.yaml
  MUTUAL_ROOMS_LISTEN_PORT=9000 mutual-rooms serve --config mutual-rooms.yaml`;

const importExamples = `
A line is {"user_id":"@alice:example.org","room_id":"!room:example.org","membership":"join"}.
The service token comes from the configuration or MUTUAL_ROOMS_SERVICE_TOKEN.

Rejected lines are listed by number and reason (the first 100) and do not stop the rest: the exit
code is 0, and the summary counts them. It is 1 when every line was rejected. With --strict nothing
behind the first rejected line is sent, and the exit code is 1.

It waits for 30 s for a server that does not answer yet, and for 10 minutes for one that is loading,
busy or being restarted. Applying a line twice does no harm, so batches are sent again, and after an
error the whole file may be imported again.

Examples:
  mutual-rooms import members.ndjson.gz --config mutual-rooms.yaml
  psql ... | mutual-rooms import - --url http://127.0.0.1:8090`;

const grantsText = `
It connects to nothing. The role may read memberships and how far Synapse has written them: no event, no
user, no token. It has no password until you give it one; the SQL says how, and may be run again.
With --role and --database no configuration is read.

Example:
  mutual-rooms grants --config mutual-rooms.yaml | sudo -u postgres psql -v ON_ERROR_STOP=1 -d synapse`;

function whole(least: number, most: number): (text: string) => number {
  return (text) => {
    const value = Number(text);
    if (/^\d+$/.test(text) && value >= least && value <= most) return value;
    throw new InvalidArgumentError(`It must be a whole number from ${least} to ${most}.`);
  };
}
