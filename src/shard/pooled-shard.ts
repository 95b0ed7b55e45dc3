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
import { PublicError, messageOf } from '../base/errors.js';
import type { MessagePort } from 'node:worker_threads';
import type { PartitionRange } from '../base/ids.js';
import { progressIntervalMs } from './bounds.js';
import { WorkerThread, workerUrl } from '../base/worker-thread.js';
import '../sets/bitmap.js';
import type { LoadedSets, StoredState } from '../store/load.js';
import type { Progress } from '../store/store.js';
import type { RoomSums } from './room-sums.js';
import { closed, shardUnavailable, type Shard, type ShardOptions } from './shard.js';
import type { Answers, LoadAnswer, ShardStats, ShardTask } from './wire.js';

/** One is at work while the next one travels. */
const tasksAtWorker = 2;

export class PooledShard implements Shard {
  readonly partitions: PartitionRange;
  from = 1;
  readonly #thread: WorkerThread<ShardTask>;

  static async open(options: ShardOptions): Promise<PooledShard> {
    const shard = new PooledShard(options);
    const names = options.names.subscribe();
    try {
      await shard.#run({ kind: 'open', partitions: options.partitions, names }, [names.growth.port]);
    } catch (error) {
      // Where the thread has not taken it over, nobody else closes it.
      names.growth.port.close();
      throw error;
    }
    return shard;
  }

  private constructor({ partitions, onFailure }: ShardOptions) {
    this.partitions = partitions;
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
      this.from = answer.last + 1;
      return answer;
    } finally {
      clearInterval(timer);
      onProgress(progress[0], progress[1]);
    }
  }

  async ask(questions: Uint32Array): Promise<Answers> {
    return this.#run({ kind: 'ask', questions });
  }

  async follow(number: number, changes: Uint32Array): Promise<number> {
    return number < this.from ? 0 : this.#run({ kind: 'follow', changes });
  }

  async list(first: number, end: number, rooms?: Uint32Array): Promise<Uint32Array> {
    return this.#run({ kind: 'list', first, end, rooms });
  }

  async sum(first: number, hashes: Int32Array, sums: RoomSums): Promise<void> {
    await this.#run({ kind: 'sum', first, hashes, sums: sums.shared });
  }

  async stats(): Promise<ShardStats> {
    return this.#run({ kind: 'stats' });
  }

  async members(partition: number): Promise<Uint32Array> {
    return this.#run({ kind: 'members', partition });
  }

  async close(): Promise<void> {
    await this.#thread.close(closed);
  }

  async #run<Result>(task: ShardTask, ports?: readonly MessagePort[]): Promise<Result> {
    const { failure } = this;
    if (failure !== undefined) throw shardUnavailable(failure);
    try {
      return await this.#thread.run<Result>(task, ports);
    } catch (error) {
      throw shardUnavailable(this.#thread.fail(messageOf(error)), error);
    }
  }
}
