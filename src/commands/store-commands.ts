/** The commands of a store: `data_dir`, with or without a server that runs on it. */
import type { Command } from 'commander';
import { configHelp } from './config-help.js';
import type { StoreDirectoryOptions } from './store-directory.js';
import type { Terminal } from './terminal.js';

export function addStoreCommands(program: Command, terminal: Terminal): void {
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
}

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
