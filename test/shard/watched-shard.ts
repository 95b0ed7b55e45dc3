/** A reloaded shard of all partitions, whose failures and reloads are counted and whose threads are known. */
import { vi } from 'vitest';
import { partitionRanges } from '../../src/base/ids.js';
import type { Names } from '../../src/directory/names.js';
import { InlineShard } from '../../src/shard/inline-shard.js';
import { PooledShard } from '../../src/shard/pooled-shard.js';
import { ReloadedShard } from '../../src/shard/reloaded-shard.js';
import type { Shard, ShardOptions } from '../../src/shard/shard.js';
import { startedBy, type Started } from './started-workers.js';

const [everything] = partitionRanges(1);

export type Start = (options: ShardOptions) => Promise<Shard>;

export const pooled: Start = async (options) => PooledShard.open(options);
export const inline: Start = async (options) => new InlineShard(options);

export interface Watched {
  readonly shard: ReloadedShard;
  readonly onFailure: ReturnType<typeof vi.fn<(reason: string) => void>>;
  readonly onReload: ReturnType<typeof vi.fn<() => void>>;
}

export async function openWatched(names: Names, start = pooled): Promise<Started<Watched>> {
  const onFailure = vi.fn<(reason: string) => void>();
  const onReload = vi.fn<() => void>();
  return startedBy(async () => ({
    shard: await ReloadedShard.open({ partitions: everything, names, start, onFailure, onReload }),
    onFailure,
    onReload,
  }));
}
