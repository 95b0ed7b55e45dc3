/**
 * A shard in a worker thread of its own, through piscina (the only import of it): one pool of one thread a shard.
 *
 * A task must reach the thread that holds the shard's memberships. A pool of one thread cannot send it elsewhere; with
 * one pool for all, a `loadBalancer` would have to learn which thread is which, and one thread's death would be every
 * shard's event. `npm run bench -- pool` measures both (figures: native-notes.md).
 *
 * When the thread dies its memberships are gone: the shard fails for good, and says why.
 */
import { Piscina } from 'piscina';
import { unpack } from 'msgpackr';
import { messageOf } from '../base/errors.js';
import type { PartitionRange, RoomNo, UserNo } from '../base/ids.js';
import type { NameChunk, Names } from '../intern/names.js';
import { closed, shardUnavailable, type Shard } from './shard.js';
import type { Answers, ShardStats, ShardTask } from './wire.js';

/** Node 20 runs no TypeScript in a worker: from a source tree (tests), the built worker is taken. */
const workerUrl = new URL(
  import.meta.url.endsWith('.ts') ? '../../dist/shard/worker.js' : './worker.js',
  import.meta.url,
);

/** Tasks that lie at the worker before it asks for more: one is at work while the next one travels. */
const tasksAtWorker = 2;

/** Of a worker's heap. */
const youngGenerationMib = 4;

export interface PooledShardOptions {
  readonly partitions: PartitionRange;
  readonly names: Names;
  /** Called once, when the shard has failed. */
  readonly onFailure?: ((reason: string) => void) | undefined;
}

export class PooledShard implements Shard {
  readonly partitions: PartitionRange;
  failure: string | undefined;
  readonly #pool: Piscina<ShardTask, Answers & Uint8Array & number>;
  readonly #names: Names;
  readonly #onFailure: ((reason: string) => void) | undefined;
  #chunksSent = 0;
  #end: Promise<void> | undefined;

  static async open(options: PooledShardOptions): Promise<PooledShard> {
    const shard = new PooledShard(options);
    await shard.#run({ kind: 'open', partitions: options.partitions });
    return shard;
  }

  private constructor(options: PooledShardOptions) {
    this.partitions = options.partitions;
    this.#names = options.names;
    this.#onFailure = options.onFailure;
    this.#pool = new Piscina({
      filename: workerUrl.href,
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: tasksAtWorker,
      // Without it a task that finds the worker full goes to the end of the queue, behind younger ones.
      stricterFIFO: true,
      recordTiming: false,
      // A shard's memory is outside the heap, and what a task leaves behind is small: a young generation of the usual
      // 48 MiB would only fill up.
      resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMib },
    });
    // A thread that dies while idle is told here and nowhere else. One that was busy has its task say more, and first.
    this.#pool.on('error', (error: unknown) => this.#fail(`its worker thread died: ${messageOf(error)}`));
    this.#pool.on('workerDestroy', () => setImmediate(() => void this.#fail('its worker thread ended')));
  }

  async ask(questions: Uint32Array): Promise<Answers> {
    return this.#run({ kind: 'ask', numbers: questions, names: this.#newChunks() });
  }

  async apply(changes: Uint32Array): Promise<number> {
    return this.#run({ kind: 'apply', numbers: changes, names: this.#newChunks() });
  }

  async forgetUser(user: UserNo): Promise<number> {
    return this.#run({ kind: 'forgetUser', user });
  }

  async forgetRoom(room: RoomNo, first: number, end: number): Promise<number> {
    return this.#run({ kind: 'forgetRoom', room, first, end });
  }

  async stats(): Promise<ShardStats> {
    return unpack(await this.#run({ kind: 'stats' })) as ShardStats;
  }

  async close(): Promise<void> {
    this.failure ??= closed;
    await this.#endThread();
  }

  async #run(task: ShardTask): Promise<Answers & Uint8Array & number> {
    if (this.failure !== undefined) throw shardUnavailable(this.failure);
    try {
      return await this.#pool.run(task);
    } catch (error) {
      throw shardUnavailable(this.#fail(messageOf(error)), error);
    }
  }

  /** Chunks travel once, with whatever goes next: tasks reach the one worker in the order in which they are sent. */
  #newChunks(): readonly NameChunk[] {
    const { chunks } = this.#names;
    if (this.#chunksSent === chunks.length) return [];
    const fresh = chunks.slice(this.#chunksSent);
    this.#chunksSent = chunks.length;
    return fresh;
  }

  /** @returns what the shard failed of: the first reason that was found */
  #fail(reason: string): string {
    if (this.failure !== undefined) return this.failure;
    this.failure = reason;
    this.#onFailure?.(reason);
    void this.#endThread();
    return reason;
  }

  /** Once only: a second `destroy` makes the pool start a thread anew when the first one's thread ends. */
  #endThread(): Promise<void> {
    this.#end ??= this.#pool.destroy();
    return this.#end;
  }
}
