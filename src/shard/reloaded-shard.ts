/**
 * A shard in a worker thread that comes back when the thread dies: another one is started and loaded from the store. Until
 * it is loaded questions are refused, as by any shard that cannot answer.
 *
 * Changes are not refused: they are in the store already. Those under way when the thread died, and those that come while
 * another one loads, are made again in their order once it is loaded. The store's state that it was loaded from may have
 * some of them; making them again ends in the same, since a change says what holds.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../base/assert.js';
import { messageOf } from '../base/errors.js';
import type { PartitionRange, RoomNo, UserNo } from '../base/ids.js';
import type { LoadedSets, StoredState } from '../store/load.js';
import type { Progress } from '../store/store.js';
import { PooledShard, type PooledShardOptions } from './pooled-shard.js';
import type { RoomSums } from './room-sums.js';
import { closed, shardUnavailable, type Shard } from './shard.js';
import type { Answers, ShardStats } from './wire.js';

/** Before a thread is started again after one that died soon: doubled each time, up to the second figure. */
const firstWaitMs = 500;
const waitMsMax = 30_000;

interface UnmadeChange {
  readonly changes: Uint32Array;
  readonly resolve: (applied: number) => void;
  readonly reject: (error: unknown) => void;
}

export interface ReloadedShardOptions extends Omit<PooledShardOptions, 'onFailure'> {
  /** Called each time the thread has died, or one that was to take its place could not be loaded. */
  readonly onFailure?: ((reason: string) => void) | undefined;
  /** Called when another thread has been loaded in its place. */
  readonly onReload?: (() => void) | undefined;
}

export class ReloadedShard implements Shard {
  readonly partitions: PartitionRange;
  failure: string | undefined;
  readonly #options: ReloadedShardOptions;
  /** Its own failure is never looked at: `failure` says what is true of both. */
  #shard!: PooledShard;
  /** What it was loaded from, and is loaded from again. */
  #loadedFrom: { readonly path: string; readonly expected: StoredState | undefined } | undefined;
  /** The one that is to take its place. */
  #loading: PooledShard | undefined;
  /** In the order of the calls. */
  #unmade: UnmadeChange[] = [];
  readonly #closing = new AbortController();
  #reloading: Promise<void> = Promise.resolve();

  static async open(options: ReloadedShardOptions): Promise<ReloadedShard> {
    const shard = new ReloadedShard(options);
    shard.#shard = await shard.#start();
    return shard;
  }

  private constructor(options: ReloadedShardOptions) {
    this.partitions = options.partitions;
    this.#options = options;
  }

  async load(path: string, onProgress: Progress, expected?: StoredState): Promise<LoadedSets> {
    const loaded = await this.#shard.load(path, onProgress, expected);
    this.#loadedFrom = { path, expected };
    return loaded;
  }

  async ask(questions: Uint32Array): Promise<Answers> {
    this.#checkAvailable();
    return this.#shard.ask(questions);
  }

  apply(changes: Uint32Array): Promise<number> {
    if (this.#closing.signal.aborted) return Promise.reject(shardUnavailable(closed));
    return new Promise((resolve, reject) => {
      const change = { changes, resolve, reject };
      this.#unmade.push(change);
      if (this.failure === undefined) this.#make(change);
    });
  }

  async forgetUser(user: UserNo): Promise<number> {
    this.#checkAvailable();
    return this.#shard.forgetUser(user);
  }

  async forgetRoom(room: RoomNo, first: number, end: number): Promise<number> {
    this.#checkAvailable();
    return this.#shard.forgetRoom(room, first, end);
  }

  async list(first: number, end: number, rooms?: Uint32Array): Promise<Uint32Array> {
    this.#checkAvailable();
    return this.#shard.list(first, end, rooms);
  }

  async sum(first: number, hashes: Int32Array, sums: RoomSums): Promise<void> {
    this.#checkAvailable();
    return this.#shard.sum(first, hashes, sums);
  }

  async stats(): Promise<ShardStats> {
    this.#checkAvailable();
    return this.#shard.stats();
  }

  async close(): Promise<void> {
    this.failure = closed;
    this.#closing.abort();
    await this.#shard.close();
    await this.#loading?.close();
    await this.#reloading;
    for (const { reject } of this.#unmade.splice(0)) reject(shardUnavailable(closed));
  }

  #checkAvailable(): void {
    if (this.failure !== undefined) throw shardUnavailable(this.failure);
  }

  #make(change: UnmadeChange): void {
    const shard = this.#shard;
    shard.apply(change.changes).then(
      (applied) => {
        // Tasks end in their order, so this is the first one; but it costs nothing to look.
        const index = this.#unmade.indexOf(change);
        if (index !== -1) this.#unmade.splice(index, 1);
        change.resolve(applied);
      },
      () => {
        // Made again when another thread is loaded, or refused when the shard is closed.
      },
    );
  }

  #start(): Promise<PooledShard> {
    const { partitions, names } = this.#options;
    // The thread of a reload that has failed itself is the reload's to look after.
    const started: { shard?: PooledShard } = {};
    return PooledShard.open({
      partitions,
      names,
      onFailure: (reason) => {
        if (started.shard !== undefined && started.shard === this.#shard) this.#onFailure(reason);
      },
    }).then((shard) => (started.shard = shard));
  }

  #onFailure(reason: string): void {
    if (this.failure !== undefined) return;
    if (this.#loadedFrom === undefined) {
      this.failure = reason;
      this.#options.onFailure?.(reason);
      return;
    }
    this.failure = `${reason}; it is being loaded again from the store`;
    this.#options.onFailure?.(reason);
    this.#reloading = this.#reload();
  }

  async #reload(): Promise<void> {
    let shard = await this.#tryToLoad();
    for (let waitMs = firstWaitMs; shard === undefined; waitMs = Math.min(waitMsMax, waitMs * 2)) {
      await sleep(waitMs, undefined, { signal: this.#closing.signal }).catch(() => undefined);
      if (this.#closing.signal.aborted) return;
      shard = await this.#tryToLoad();
    }
    if (this.#closing.signal.aborted) {
      await shard.close();
      return;
    }
    this.#shard = shard;
    this.failure = undefined;
    // In their order, and before any that comes from now on.
    for (const change of this.#unmade) this.#make(change);
    this.#options.onReload?.();
  }

  /**
   * @returns undefined when that thread died, too, or the store could not be read. Whoever waits with a change is told then:
   *   it is in the store, and the next one that is loaded has it.
   */
  async #tryToLoad(): Promise<PooledShard | undefined> {
    assert(this.#loadedFrom !== undefined, 'only what was loaded is loaded again');
    const { path, expected } = this.#loadedFrom;
    try {
      this.#loading = await this.#start();
      await this.#loading.load(path, () => undefined, expected);
      if (this.#loading.failure === undefined) return this.#loading;
    } catch (error) {
      if (!this.#closing.signal.aborted) {
        const reason = `loading it again failed: ${messageOf(error)}`;
        this.#options.onFailure?.(reason);
        for (const { reject } of this.#unmade.splice(0))
          reject(shardUnavailable(`${reason}; the change is safe in the store`));
      }
    }
    await this.#loading?.close();
    return undefined;
  }
}
