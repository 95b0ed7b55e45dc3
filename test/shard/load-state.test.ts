/** Does a shard take in no store that is another one by now: compacted, or taken over by another process? */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { partitionRanges } from '../../src/base/ids.js';
import { Directory } from '../../src/directory/directory.js';
import { InlineShard } from '../../src/shard/inline-shard.js';
import { PooledShard } from '../../src/shard/pooled-shard.js';
import type { Shard } from '../../src/shard/shard.js';
import { changeWord } from '../../src/log/changes.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { draftOf } from '../store/draft.js';

const [everything] = partitionRanges(1);

test.each(['inline', 'pooled'])('%s: by its epoch and its owner', async (kind) => {
  const folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-state-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  const store = await LmdbStore.open({ directory: folder });
  onTestFinished(() => store.close());
  const directory = new Directory();
  const { users, rooms } = directory;
  await store.restoreNames(directory);
  const words = [users.intern('@alice:x'), changeWord(rooms.intern('!tea:x'), true)];
  await store.commit(draftOf(directory, Uint32Array.from(words)));

  const open = async (): Promise<Shard> => {
    const options = { partitions: everything, names: rooms.names };
    const shard = kind === 'inline' ? new InlineShard(options) : await PooledShard.open(options);
    onTestFinished(() => shard.close());
    return shard;
  };
  const { epoch, instance } = store.state;
  for (const other of [
    { epoch: epoch ^ 1, instance },
    { epoch, instance: 'another' },
  ]) {
    const shard = await open();
    await expect(shard.load(store.path, () => undefined, other)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringContaining('start this one anew') as string,
    });
    expect((await shard.stats()).memberships).toBe(0);
  }
  for (const same of [store.state, { epoch, instance: undefined }, undefined]) {
    const shard = await open();
    await shard.load(store.path, () => undefined, same);
    expect((await shard.stats()).memberships).toBe(1);
  }
});
