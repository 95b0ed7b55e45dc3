/**
 * A shard on the caller's own thread: for embedding, for tests, and for `shards: 0`. Every call is done when it returns;
 * the promise is only the interface's.
 */
import { setImmediate } from 'node:timers/promises';
import type { PartitionRange, RoomNo, UserNo } from '../base/ids.js';
import { recordsPerStep } from '../base/limits.js';
import type { Names } from '../directory/names.js';
import type { LoadedSets, StoredState } from '../store/load.js';
import type { Progress } from '../store/store.js';
import type { RoomSums } from './room-sums.js';
import { closed, shardUnavailable, type Shard } from './shard.js';
import { ShardCore } from './shard-core.js';
import { exactCopy, type Answers, type ShardStats } from './wire.js';

export class InlineShard implements Shard {
  readonly partitions: PartitionRange;
  failure: string | undefined;
  readonly #core: ShardCore;

  constructor(partitions: PartitionRange, names: Names) {
    this.partitions = partitions;
    this.#core = new ShardCore(partitions, names);
  }

  async load(path: string, onProgress: Progress, expected?: StoredState): Promise<LoadedSets> {
    this.#checkOpen();
    const load = this.#core.load(path, expected);
    try {
      while (load.step(recordsPerStep)) {
        onProgress(load.done, load.total);
        await setImmediate();
        this.#checkOpen();
      }
      onProgress(load.done, load.total);
    } finally {
      await load.close();
    }
    return this.#core.loaded(load);
  }

  async ask(questions: Uint32Array): Promise<Answers> {
    this.#checkOpen();
    return exactCopy(this.#core.ask(questions));
  }

  askNow(questions: Uint32Array): Answers {
    this.#checkOpen();
    return this.#core.ask(questions);
  }

  async apply(changes: Uint32Array): Promise<number> {
    this.#checkOpen();
    return this.#core.apply(changes);
  }

  async forgetUser(user: UserNo): Promise<number> {
    this.#checkOpen();
    return this.#core.membership.forgetUser(user);
  }

  async forgetRoom(room: RoomNo, first: number, end: number): Promise<number> {
    this.#checkOpen();
    return this.#core.membership.forgetRoom(room, first, end);
  }

  async list(first: number, end: number, rooms?: Uint32Array): Promise<Uint32Array> {
    this.#checkOpen();
    return this.#core.membership.list(first, end, rooms);
  }

  async sum(first: number, hashes: Int32Array, sums: RoomSums): Promise<void> {
    this.#checkOpen();
    this.#core.membership.sum(first, hashes, sums);
  }

  async stats(): Promise<ShardStats> {
    this.#checkOpen();
    return this.#core.stats();
  }

  async close(): Promise<void> {
    this.failure = closed;
  }

  #checkOpen(): void {
    if (this.failure !== undefined) throw shardUnavailable(this.failure);
  }
}
