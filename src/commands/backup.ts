/** `backup`: a consistent copy of a store, beside a running server too. */
import { resolve } from 'node:path';
import { backupStore } from '../store/backup.js';
import { findStore } from '../store/data-directory.js';
import { verifyInProcess } from '../store/inspect.js';
import { readableStore, type StoreDirectoryOptions } from './store-directory.js';
import type { Terminal } from './terminal.js';

export interface BackupOptions extends StoreDirectoryOptions {
  /** Where the copy goes: a folder that is made, or empty. */
  readonly directory: string;
}

export async function backup({ directory, ...options }: BackupOptions, terminal: Terminal): Promise<void> {
  const path = await readableStore(options, terminal);
  const startedAtMs = terminal.clock.monotonicMs();
  const target = resolve(directory);
  const bytes = await backupStore(path, target);
  // A damaged store makes a damaged copy, which must not take the place of a good one unnoticed.
  await verifyInProcess(findStore(target));
  const seconds = (terminal.clock.monotonicMs() - startedAtMs) / 1000;
  terminal.out(`copied and verified ${bytes} bytes to ${target} in ${seconds.toFixed(1)} s\n`);
}
