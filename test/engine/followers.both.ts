/** The contract of followers: for shards alone, and for all of them together. */
import { onTestFinished } from 'vitest';
import { partitionRanges } from '../../src/base/ids.js';
import { roomNames } from '../../src/directory/interner.js';
import { Directory } from '../../src/directory/directory.js';
import { Shards } from '../../src/engine/shards.js';
import { InlineShard } from '../../src/shard/inline-shard.js';
import { PooledShard } from '../../src/shard/pooled-shard.js';
import { ReloadedShard } from '../../src/shard/reloaded-shard.js';
import type { Shard, ShardOptions } from '../../src/shard/shard.js';
import { isWhole, runs } from '../runs.js';
import { describeFollower, type OpenFollower } from '../contract/follower-contract.js';

const usersEnd = 1000;

/** "user room" of each membership in lists as shards give them. */
function pairsOf(list: Uint32Array): string[] {
  const pairs: string[] = [];
  for (let at = 0; at < list.length; at += 2 + list[at + 1])
    for (const room of list.subarray(at + 2, at + 2 + list[at + 1])) pairs.push(`${list[at]} ${room}`);
  return pairs.sort();
}

const oneShard =
  (start: (options: ShardOptions) => Promise<Shard>): OpenFollower =>
  async (path) => {
    const shard = await start({ partitions: partitionRanges(1)[0], names: roomNames() });
    onTestFinished(() => shard.close());
    if (path !== undefined) await shard.load(path, () => undefined);
    return { follower: shard, memberships: async () => pairsOf(await shard.list(0, usersEnd)) };
  };

const startInline = async (options: ShardOptions): Promise<Shard> => new InlineShard(options);
const startPooled = (options: ShardOptions): Promise<Shard> => PooledShard.open(options);
const reloaded =
  (start: typeof startPooled) =>
  (options: ShardOptions): Promise<Shard> =>
    ReloadedShard.open({ ...options, start });

describeFollower('a shard on this thread', oneShard(startInline));
describeFollower('a shard in a thread of its own', oneShard(startPooled));
describeFollower('a shard on this thread that can be loaded again', oneShard(reloaded(startInline)));
if (isWhole)
  describeFollower('a shard in a thread that can be loaded again', oneShard(reloaded(startPooled)));

for (const threads of runs([0, 2], [0, 1, 2, 3])) {
  describeFollower(`all shards, in ${threads} threads`, async (path) => {
    const shards = await Shards.open(new Directory(Math.max(1, threads)), threads, path !== undefined, {});
    onTestFinished(() => shards.close());
    if (path !== undefined) await shards.load(path, undefined, () => () => undefined);
    return { follower: shards, memberships: async () => pairsOf(await shards.list(0, usersEnd)) };
  });
}
