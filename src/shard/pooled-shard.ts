/**
 * A shard in a worker thread of its own: one thread a shard.
 *
 * A task must reach the thread that holds the shard's memberships. A pool of one thread cannot send it elsewhere; with
 * one pool for all, a `loadBalancer` would have to learn which thread is which, and one thread's death would be every
 * shard's event. `npm run bench -- pool` measures both (figures: native-notes.md).
 *
 * When the thread dies its memberships are gone: the shard fails for good, and says why.
 *
 * The import of bitmap.ts keeps roaring's addon in memory while its threads come and go. An addon that only a worker has
 * loaded goes with it, before V8 has called back into it for the last time, and that ends the process.
 */
import { unpack } from 'msgpackr';
import { PublicError, messageOf } from '../base/errors.js';
import type { PartitionRange, RoomNo, UserNo } from '../base/ids.js';
import { progressIntervalMs } from '../base/limits.js';
import { WorkerThread, workerUrl } from '../base/worker-thread.js';
import { NameGrowth, type Names } from '../directory/names.js';
import '../sets/bitmap.js';
import type { LoadedSets, StoredState } from '../store/load.js';
import type { Progress } from '../store/store.js';
import type { RoomSums } from './room-sums.js';
import { closed, shardUnavailable, type Shard } from './shard.js';
import type { Answers, LoadAnswer, ShardStats, ShardTask } from './wire.js';

/** One is at work while the next one travels. */
const tasksAtWorker = 2;

export interface PooledShardOptions {
  readonly partitions: PartitionRange;
  readonly names: Names;
  /** Called once, when the shard has failed. */
  readonly onFailure?: ((reason: string) => void) | undefined;
}

export class PooledShard implements Shard {
  readonly partitions: PartitionRange;
  readonly #thread: WorkerThread<ShardTask>;
  /** Goes with the next task: tasks reach the thread in the order in which they are sent. */
  readonly #growth: NameGrowth;

  static async open(options: PooledShardOptions): Promise<PooledShard> {
    const shard = new PooledShard(options);
    await shard.#run({ kind: 'open', partitions: options.partitions });
    return shard;
  }

  private constructor({ partitions, names, onFailure }: PooledShardOptions) {
    this.partitions = partitions;
    this.#growth = new NameGrowth(names);
    this.#thread = new WorkerThread({
      url: workerUrl('shard/worker', import.meta.url),
      tasksAtThread: tasksAtWorker,
      onFailure: (reason) => onFailure?.(reason),
    });
  }

  get failure(): string | undefined {
    return this.#thread.failure;
  }

  /** @throws PublicError also for what is wrong with the store: the thread lives on */
  async load(path: string, onProgress: Progress, expected?: StoredState): Promise<LoadedSets> {
    const progress = new Float64Array(new SharedArrayBuffer(16));
    const timer = setInterval(() => onProgress(progress[0], progress[1]), progressIntervalMs);
    try {
      const answer = await this.#run<LoadAnswer>({ kind: 'load', path, expected, progress });
      if ('code' in answer) throw new PublicError(answer.code, answer.message);
      return answer;
    } finally {
      clearInterval(timer);
      onProgress(progress[0], progress[1]);
    }
  }

  async ask(questions: Uint32Array): Promise<Answers> {
    return this.#run({ kind: 'ask', numbers: questions, names: this.#growth.take() });
  }

  async apply(changes: Uint32Array): Promise<number> {
    return this.#run({ kind: 'apply', numbers: changes, names: this.#growth.take() });
  }

  async forgetUser(user: UserNo): Promise<number> {
    return this.#run({ kind: 'forgetUser', user });
  }

  async forgetRoom(room: RoomNo, first: number, end: number): Promise<number> {
    return this.#run({ kind: 'forgetRoom', room, first, end });
  }

  async list(first: number, end: number, rooms?: Uint32Array): Promise<Uint32Array> {
    return this.#run({ kind: 'list', first, end, rooms });
  }

  async sum(first: number, hashes: Int32Array, sums: RoomSums): Promise<void> {
    await this.#run({ kind: 'sum', first, hashes, sums: sums.shared });
  }

  async stats(): Promise<ShardStats> {
    return unpack(await this.#run<Uint8Array>({ kind: 'stats' })) as ShardStats;
  }

  async close(): Promise<void> {
    await this.#thread.close(closed);
  }

  async #run<Result>(task: ShardTask): Promise<Result> {
    const { failure } = this;
    if (failure !== undefined) throw shardUnavailable(failure);
    try {
      return await this.#thread.run<Result>(task);
    } catch (error) {
      throw shardUnavailable(this.#thread.fail(messageOf(error)), error);
    }
  }
}
