/**
 * All shards as one: follows the log, sends each shard its part of the changes and its share of the questions, and puts
 * together what they hold.
 *
 * While one of them cannot answer, `checkAvailable` refuses every question, even one that would not have needed it.
 */
import { setImmediate } from 'node:timers/promises';
import { assert } from '../base/assert.js';
import type { PartitionRange } from '../base/ids.js';
import { changesPerTaskMax } from './bounds.js';
import type { Directory } from '../directory/directory.js';
import { changeCount, sliceOfChanges } from '../log/changes.js';
import type { Follower } from '../log/commit.js';
import { InlineShard } from '../shard/inline-shard.js';
import { PooledShard } from '../shard/pooled-shard.js';
import { ReloadedShard } from '../shard/reloaded-shard.js';
import type { RoomSums } from '../shard/room-sums.js';
import { shardUnavailable, type Shard, type ShardOptions } from '../shard/shard.js';
import type { ShardStats } from '../shard/wire.js';
import type { LoadedSets } from '../store/load.js';
import type { Progress, Store } from '../store/store.js';
import { FanOut, type FanOutObserver } from './fan-out.js';
import { Shadow } from './shadow.js';
import { ShardMap } from './shard-map.js';
import { sumOf } from './sum-of.js';
import { ChangeOrder } from './change-order.js';
import { mergedLists } from './user-lists.js';

export interface ShardsOptions {
  /** Called for each shard that lost its memberships. With a store it is loaded again; without one it is lost. */
  readonly onShardFailure?: (shard: number, reason: string) => void;
  /** Called when a shard that lost its memberships has been loaded again. */
  readonly onShardReload?: (shard: number) => void;
  /** Watches the batches that leave for the shards. */
  readonly observer?: FanOutObserver;
}

/** Slices of changes that are under way at once. */
const slicesUnderWayMax = 3;

export class Shards implements Follower {
  /** Of each shard, what waits for it. */
  readonly fanOuts: readonly FanOut[];
  readonly #directory: Directory;
  readonly #map: ShardMap;
  readonly #shards: readonly Shard[];
  readonly #order = new ChangeOrder();
  from = 1;
  /** The commit that was followed last. */
  #last = 0;

  /**
   * Starts them.
   * @param threads worker threads, each with a contiguous share of the rooms; 0 for one shard on the caller's thread
   * @param isKept whether a store has what is followed, so that a shard that fails is loaded again
   */
  static async open(
    directory: Directory,
    threads: number,
    isKept: boolean,
    { onShardFailure, onShardReload, observer }: ShardsOptions,
  ): Promise<Shards> {
    const map = new ShardMap(Math.max(threads, 1));
    const start = starter(threads);
    const open = async (partitions: PartitionRange, index: number): Promise<Shard> => {
      const options: ShardOptions = {
        partitions,
        names: directory.rooms.names,
        onFailure: (reason) => onShardFailure?.(index, reason),
      };
      if (!isKept) return start(options);
      return ReloadedShard.open({ ...options, start, onReload: () => onShardReload?.(index) });
    };
    const shards = await Promise.all(map.ranges.map(open));
    return new Shards(directory, map, shards, observer);
  }

  private constructor(
    directory: Directory,
    map: ShardMap,
    shards: readonly Shard[],
    observer: FanOutObserver | undefined,
  ) {
    this.#directory = directory;
    this.#map = map;
    this.#shards = shards;
    this.fanOuts = shards.map((shard, index) => new FanOut(shard, index, observer));
  }

  get count(): number {
    return this.#shards.length;
  }

  /** The number of the next commit. */
  get next(): number {
    return this.#last + 1;
  }

  /** Why they cannot answer: the first shard's failure; undefined while they can. */
  get failure(): string | undefined {
    for (const shard of this.#shards) if (shard.failure !== undefined) return shard.failure;
    return undefined;
  }

  /** @throws PublicError UNAVAILABLE while there is a failure */
  checkAvailable(): void {
    const { failure } = this;
    if (failure !== undefined) throw shardUnavailable(failure);
  }

  /** Takes in what a store holds: once, and first of all. @returns what each shard has taken in */
  async load(
    path: string,
    state: Store['state'],
    progressOf: (shard: number) => Progress,
  ): Promise<LoadedSets[]> {
    const loading = this.#shards.map(async (shard, index) => {
      const loaded = await shard.load(path, progressOf(index), state);
      this.#directory.userShards.addAll(loaded.users, index);
      return loaded;
    });
    // All of them end before anything is closed, whichever fails.
    const loaded: LoadedSets[] = [];
    for (const result of await Promise.allSettled(loading)) {
      if (result.status === 'rejected') throw result.reason;
      loaded.push(result.value);
    }
    this.#last = Math.max(...loaded.map(({ last }) => last));
    this.from = this.#last + 1;
    return loaded;
  }

  /**
   * Long lists go in slices, between which questions are answered: until the promise resolves they may see a part.
   * @param isAtOnce whether no question sees a part, but those that are under way already: it holds each shard until all are made
   */
  async follow(number: number, changes: Uint32Array, isAtOnce = false): Promise<number> {
    assert(number <= this.next, 'no commit is left out');
    this.#last = Math.max(number, this.#last);
    const isLong = !isAtOnce && changeCount(changes) > changesPerTaskMax * 2;
    return this.#order.make(isLong, () =>
      isLong ? this.#sendInSlices(number, changes) : this.#send(number, changes),
    );
  }

  /**
   * Who is where, of the users from `first` to `end`.
   * @param rooms only these, ascending; without them all
   * @returns [user, count, rooms...] of each who has any, users and rooms ascending
   */
  async list(first: number, end: number, rooms?: Uint32Array): Promise<Uint32Array> {
    return mergedLists(await Promise.all(this.#shards.map((shard) => shard.list(first, end, rooms))));
  }

  /** Adds the users from `first` on, one for each hash, to the sums of their rooms. */
  async sum(first: number, hashes: Int32Array, sums: RoomSums): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.sum(first, hashes, sums)));
  }

  /** How many are joined to each room of a partition, by its sequence; rooms behind the last one have nobody. */
  async members(partition: number): Promise<Uint32Array> {
    return this.#shards[this.#map.shardOfPartition(partition)].members(partition);
  }

  async stats(): Promise<ShardStats[]> {
    return Promise.all(this.#shards.map((shard) => shard.stats()));
  }

  /** Another set of memberships under the same numbers: to fill with what is to hold, and to compare. Who opens it closes it. */
  async openShadow(): Promise<Shadow> {
    const isInline = this.#shards[0].askNow !== undefined;
    const start = starter(isInline ? 0 : this.#shards.length);
    const { names } = this.#directory.rooms;
    const started = await Promise.allSettled(
      this.#map.ranges.map((partitions) => start({ partitions, names })),
    );
    const opened = started.flatMap((shard) => (shard.status === 'fulfilled' ? shard.value : []));
    const failed = started.find((shard) => shard.status === 'rejected');
    if (failed === undefined) return new Shadow(opened, this.#map, isInline);
    await Promise.all(opened.map((shard) => shard.close()));
    throw failed.reason;
  }

  /** Ends the worker threads. Questions that are under way are refused. */
  async close(): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.close()));
  }

  /** One that fails keeps none of the others back: all are committed, and each shard must get its own. */
  async #sendInSlices(number: number, changes: Uint32Array): Promise<number> {
    const sent: Promise<number>[] = [];
    const count = changeCount(changes);
    for (let at = 0; at < count; at += changesPerTaskMax) {
      // What came in meanwhile is answered first.
      if (at > 0) await setImmediate();
      await sent.at(-slicesUnderWayMax)?.catch(() => undefined);
      const slice = this.#send(number, sliceOfChanges(changes, at, Math.min(count, at + changesPerTaskMax)));
      // It is awaited in the end; until then nobody hears of a failure.
      slice.catch(() => undefined);
      sent.push(slice);
    }
    return sumOf(await Promise.all(sent));
  }

  /** Everything leaves before anything is awaited: changes reach each shard in order. */
  async #send(number: number, changes: Uint32Array): Promise<number> {
    const tasks: Promise<number>[] = [];
    const { userShards } = this.#directory;
    // Before the join reaches the shard.
    const parts = this.#map.split(changes, (user, shard) => userShards.add(user, shard));
    for (const [shard, part] of parts.entries())
      if (part.length > 0) tasks.push(this.#shards[shard].follow(number, part));
    return sumOf(await Promise.all(tasks));
  }
}

function starter(threads: number): (options: ShardOptions) => Promise<Shard> {
  return async (options) => (threads === 0 ? new InlineShard(options) : PooledShard.open(options));
}
