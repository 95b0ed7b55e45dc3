/**
 * A shard that comes back when it fails: another one is started in its place and loaded from the store. Until it is loaded
 * questions are refused, as by any shard that cannot answer.
 *
 * Changes are not refused: they are in the store already. Those that were not made when the shard failed, and those that come
 * while another one loads, are kept, and it follows them once it is loaded. What the store had of them by then it passes over.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { assert } from '../base/assert.js';
import { messageOf } from '../base/errors.js';
import type { PartitionRange } from '../base/ids.js';
import type { LoadedSets, StoredState } from '../store/load.js';
import type { Progress } from '../store/store.js';
import type { RoomSums } from './room-sums.js';
import { closed, shardUnavailable, type Shard, type ShardOptions } from './shard.js';
import type { Answers, ShardStats } from './wire.js';

/** Before a shard is started again after one that failed soon: doubled each time, up to the second figure. */
const firstWaitMs = 500;
const waitMsMax = 30_000;

interface UnmadeChange {
  readonly number: number;
  readonly changes: Uint32Array;
  readonly resolve: (applied: number) => void;
  readonly reject: (error: unknown) => void;
}

export interface ReloadedShardOptions extends ShardOptions {
  /** Starts one, and another one each time it has failed. */
  readonly start: (options: ShardOptions) => Promise<Shard>;
  /** Called each time the shard has failed, or one that was to take its place could not be loaded. */
  readonly onFailure?: ((reason: string) => void) | undefined;
  /** Called when another one has been loaded in its place. */
  readonly onReload?: (() => void) | undefined;
}

export class ReloadedShard implements Shard {
  readonly partitions: PartitionRange;
  failure: string | undefined;
  /** Where the shard is on the caller's thread. */
  askNow?: (questions: Uint32Array) => Answers;
  readonly #options: ReloadedShardOptions;
  /** Its own failure is never looked at: `failure` says what is true of both. */
  #shard!: Shard;
  /** What it was loaded from, and is loaded from again. */
  #loadedFrom: { readonly path: string; readonly expected: StoredState | undefined } | undefined;
  /** The one that is to take its place. */
  #loading: Shard | undefined;
  /** In the order of the calls. */
  #unmade: UnmadeChange[] = [];
  readonly #closing = new AbortController();
  #reloading: Promise<void> = Promise.resolve();

  static async open(options: ReloadedShardOptions): Promise<ReloadedShard> {
    const shard = new ReloadedShard(options);
    shard.#shard = await shard.#start();
    if (shard.#shard.askNow !== undefined) shard.askNow = (questions) => shard.#askNow(questions);
    return shard;
  }

  private constructor(options: ReloadedShardOptions) {
    this.partitions = options.partitions;
    this.#options = options;
  }

  get from(): number {
    return this.#shard.from;
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

  follow(number: number, changes: Uint32Array): Promise<number> {
    if (this.#closing.signal.aborted) return Promise.reject(shardUnavailable(closed));
    return new Promise((resolve, reject) => {
      const change = { number, changes, resolve, reject };
      this.#unmade.push(change);
      if (this.failure === undefined) this.#make(change);
    });
  }

  async list(first: number, end: number, rooms?: Uint32Array): Promise<Uint32Array> {
    this.#checkAvailable();
    return this.#shard.list(first, end, rooms);
  }

  async sum(first: number, hashes: Int32Array, sums: RoomSums): Promise<void> {
    this.#checkAvailable();
    return this.#shard.sum(first, hashes, sums);
  }

  async members(partition: number): Promise<Uint32Array> {
    this.#checkAvailable();
    return this.#shard.members(partition);
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

  #askNow(questions: Uint32Array): Answers {
    this.#checkAvailable();
    assert(this.#shard.askNow !== undefined, 'shards that are started alike are on one thread');
    return this.#shard.askNow(questions);
  }

  async #start(): Promise<Shard> {
    // One of a reload that has failed itself is the reload's to look after.
    const started: { shard?: Shard } = {};
    started.shard = await this.#options.start({
      ...this.#options,
      onFailure: (reason) => {
        if (started.shard !== undefined && started.shard === this.#shard) this.#onFailure(reason);
      },
    });
    return started.shard;
  }

  #checkAvailable(): void {
    if (this.failure !== undefined) throw shardUnavailable(this.failure);
  }

  #make(change: UnmadeChange): void {
    const shard = this.#shard;
    shard.follow(change.number, change.changes).then(
      (applied) => {
        // They are made in their order, so this is the first one; but it costs nothing to look.
        const index = this.#unmade.indexOf(change);
        if (index !== -1) this.#unmade.splice(index, 1);
        change.resolve(applied);
      },
      () => {
        // Made again when another one is loaded, or refused when the shard is closed.
      },
    );
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
    if (this.#shard.failure === undefined) this.#options.onReload?.();
  }

  /**
   * @returns undefined when that one failed, too, or the store could not be read. Whoever waits with a change is told then:
   *   it is in the store, and the next one that is loaded has it.
   */
  async #tryToLoad(): Promise<Shard | undefined> {
    assert(this.#loadedFrom !== undefined, 'only what was loaded is loaded again');
    const { path, expected } = this.#loadedFrom;
    try {
      this.#loading = await this.#start();
      if (this.#closing.signal.aborted) {
        await this.#loading.close();
        return undefined;
      }
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
