/**
 * A shard on the caller's own thread: for embedding, for tests, and for `shards: 0`. Every call is done when it returns;
 * the promise is only the interface's.
 *
 * Changes that fail in the middle leave a part of them behind: then the shard has failed for good, like a thread that died,
 * and gives its memory back.
 */
import { setImmediate } from 'node:timers/promises';
import { messageOf } from '../base/errors.js';
import type { PartitionRange } from '../base/ids.js';
import { recordsPerStep } from './bounds.js';
import type { LoadedSets, StoredState } from '../store/load.js';
import type { Progress } from '../store/store.js';
import type { RoomSums } from './room-sums.js';
import { closed, shardUnavailable, type Shard, type ShardOptions } from './shard.js';
import { importLoad } from './import-load.js';
import { ShardCore } from './shard-core.js';
import { exactCopy, type Answers, type ShardStats } from './wire.js';

export class InlineShard implements Shard {
  readonly partitions: PartitionRange;
  from = 1;
  failure: string | undefined;
  #core: ShardCore | undefined;
  readonly #onFailure: ShardOptions['onFailure'];

  constructor({ partitions, names, onFailure }: ShardOptions) {
    this.partitions = partitions;
    this.#core = new ShardCore(partitions, names);
    this.#onFailure = onFailure;
  }

  async load(path: string, onProgress: Progress, expected?: StoredState): Promise<LoadedSets> {
    const { RoomSetLoad } = await importLoad();
    const core = this.#opened();
    const load = new RoomSetLoad(path, this.partitions, core.membership, expected);
    try {
      while (load.step(recordsPerStep)) {
        onProgress(load.done, load.total);
        await setImmediate();
        this.#opened();
      }
      onProgress(load.done, load.total);
    } finally {
      await load.close();
    }
    this.from = load.last + 1;
    return core.loaded(load);
  }

  async ask(questions: Uint32Array): Promise<Answers> {
    return exactCopy(this.#opened().ask(questions));
  }

  askNow(questions: Uint32Array): Answers {
    return this.#opened().ask(questions);
  }

  async follow(number: number, changes: Uint32Array): Promise<number> {
    const core = this.#opened();
    if (number < this.from) return 0;
    try {
      return core.apply(changes);
    } catch (error) {
      this.failure = `making changes failed: ${messageOf(error)}`;
      this.#core = undefined;
      this.#onFailure?.(this.failure);
      throw shardUnavailable(this.failure, error);
    }
  }

  async list(first: number, end: number, rooms?: Uint32Array): Promise<Uint32Array> {
    return this.#opened().membership.list(first, end, rooms);
  }

  async sum(first: number, hashes: Int32Array, sums: RoomSums): Promise<void> {
    this.#opened().membership.sum(first, hashes, sums);
  }

  async members(partition: number): Promise<Uint32Array> {
    return this.#opened().rooms.members(partition);
  }

  async stats(): Promise<ShardStats> {
    return this.#opened().stats();
  }

  async close(): Promise<void> {
    this.failure = closed;
    this.#core = undefined;
  }

  #opened(): ShardCore {
    if (this.#core === undefined) throw shardUnavailable(this.failure ?? closed);
    return this.#core;
  }
}
