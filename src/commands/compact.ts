/** `compact`: drops the names of a store that are joined to nothing; for when no server has it. */
import { dirname } from 'node:path';
import { compactStore } from '../store/compact.js';
import { watchedBar } from './progress-bar.js';
import { readableStore, type StoreDirectoryOptions } from './store-directory.js';
import type { Terminal } from './terminal.js';

export async function compact(options: StoreDirectoryOptions, terminal: Terminal): Promise<void> {
  const directory = dirname(await readableStore(options, terminal));
  const bar = watchedBar(terminal);
  const startedAtMs = terminal.clock.monotonicMs();
  const { before, after, memberships } = await compactStore({
    directory,
    clock: terminal.clock,
    onProgress: (done, total) => bar?.say(done / Math.max(1, total)),
  }).finally(() => bar?.end());
  const seconds = (terminal.clock.monotonicMs() - startedAtMs) / 1000;
  terminal.out(
    `compacted the store in ${directory}: users ${before.users} -> ${after.users}, rooms ${before.rooms} -> ${after.rooms}, ` +
      `bytes ${before.bytes} -> ${after.bytes}, ${memberships} memberships, in ${seconds.toFixed(1)} s\n`,
  );
}
