/** Is a shard that can be loaded again a shard, before its thread died and after? Each test starts threads of its own. */
import { expect, onTestFinished, vi } from 'vitest';
import { ReloadedShard } from '../../src/shard/reloaded-shard.js';
import { describeLoadedShard, describeShard } from '../contract/shard-contract.js';
import { openWatched, pooled } from '../shard/watched-shard.js';
import { KeptStore, newFolder } from '../store/kept-store.js';

describeShard('ReloadedShard, pooled', (options) => ReloadedShard.open({ ...options, start: pooled }));
describeLoadedShard('ReloadedShard, pooled', (options) => ReloadedShard.open({ ...options, start: pooled }));

describeShard('ReloadedShard that has been loaded again, pooled', async ({ names }) => {
  const kept = await KeptStore.open(newFolder());
  onTestFinished(() => kept.close());
  const {
    result: { shard, onReload },
    workers,
  } = await openWatched(names);
  await shard.load(kept.path, () => undefined);
  await workers.at(-1)!.terminate();
  await vi.waitFor(() => expect(onReload).toHaveBeenCalledOnce(), { timeout: 10_000 });
  return shard;
});
