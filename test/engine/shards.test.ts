/** Do all shards get what was committed, whichever of them fails meanwhile? */
import { renameSync } from 'node:fs';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { loadEngine, statsOf } from '../../src/engine/engine.js';
import { Ingest } from '../../src/ingest/ingest.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { NaiveIndex } from '../model/naive-index.js';
import { startedBy } from '../shard/started-workers.js';
import { newFolder } from '../store/kept-store.js';

test('a shard that dies in a long commit, and cannot be loaded again at once, takes nothing from the others', async () => {
  const store = await LmdbStore.open({ directory: newFolder() });
  const { result: engine, workers } = await startedBy(() =>
    loadEngine(store, { shards: 2, onProgress: () => undefined }),
  );
  onTestFinished(async () => {
    await engine.shards.close();
    await store.close();
  });
  const ingest = new Ingest(engine, store);
  const changes: Change[] = Array.from({ length: 3000 }, (_, index) => ({
    userId: `@${index % 50}:x`,
    roomId: `!${index}:x`,
    joined: true,
  }));
  const model = new NaiveIndex();
  model.apply(changes);
  const commit = store.commit.bind(store);
  vi.spyOn(store, 'commit').mockImplementation(async (draft) => {
    const number = await commit(draft);
    renameSync(store.path, `${store.path}.away`);
    // The second shard's: shards start first, and the store's own thread when the names are read.
    void workers.at(1)!.terminate();
    setTimeout(() => renameSync(`${store.path}.away`, store.path), 800);
    return number;
  });
  // Told that it is safe in the store, or made: the answers decide.
  await ingest.apply(changes).catch(() => undefined);
  await vi.waitFor(() => expect(engine.shards.failure).toBeUndefined(), { timeout: 20_000, interval: 50 });
  expect((await statsOf(engine)).memberships).toBe(model.count);
  for (let user = 0; user < 50; user += 1) {
    const { rooms } = await engine.answerer.mutual([`@${user}:x`]);
    expect(rooms.toSorted()).toEqual(model.roomsOf(`@${user}:x`));
  }
});
