/**
 * The asynchronous engine: the words of `MembershipIndex` over shards, inline or in worker threads. The server stands on
 * it; a process that must not block its event loop embeds it.
 *
 * It numbers names (one interner for each kind, here and nowhere else), fans questions out to the shards, and
 * concatenates what comes back. Room names lie in memory that the workers share, so their number does not multiply them.
 *
 * Promise: a change is seen by every question asked after its promise resolved. A shard that cannot answer makes the
 * whole answer an error, never a part of one.
 */
import { setImmediate } from 'node:timers/promises';
import { assert } from '../base/assert.js';
import type { Change } from '../base/change.js';
import { PublicError } from '../base/errors.js';
import type { PartitionRange } from '../base/ids.js';
import {
  changesPerTaskMax,
  roomsPerPageMax,
  roomsPerSearchMax,
  usersPerForgetStep,
  usersPerListStep,
} from '../base/limits.js';
import { InlineShard } from '../shard/inline-shard.js';
import { RoomSums } from '../shard/room-sums.js';
import { PooledShard } from '../shard/pooled-shard.js';
import { ReloadedShard } from '../shard/reloaded-shard.js';
import { shardUnavailable, type Shard } from '../shard/shard.js';
import type { LoadedSets } from '../store/load.js';
import type { Progress, Store } from '../store/store.js';
import { pageQuestion, sharesQuestion } from '../shard/wire.js';
import { FanOut, type FanOutObserver } from './fan-out.js';
import { Numbering } from '../directory/numbering.js';
import { PageCall, type Page } from './page.js';
import {
  checkLimit,
  checkOthers,
  checkStart,
  checkUsers,
  startAfter,
  type Applied,
  type IndexStats,
  type MutualOptions,
  type MutualRooms,
} from './questions.js';
import { RoomTotals } from './room-totals.js';
import { Shadow } from './shadow.js';
import { ShardMap } from './shard-map.js';
import { SharesCall } from './shares-call.js';
import { mergedLists } from './user-lists.js';
import { UserShards } from '../directory/user-shards.js';

export interface EngineOptions {
  /** Worker threads, each with a contiguous share of the rooms, 1 to 64; 0 answers on the caller's thread. Default 0. */
  readonly shards?: number;
  /**
   * Called for each shard that lost its memberships. With a store it is loaded again; without one, what it held must be
   * applied to a new engine.
   */
  readonly onShardFailure?: (shard: number, reason: string) => void;
  /** Watches the batches that leave for the shards. */
  readonly observer?: FanOutObserver;
}

export interface LoadedEngineOptions extends EngineOptions {
  readonly onProgress: Progress;
  /** Called when a shard that lost its memberships has been loaded again. */
  readonly onShardReload?: (shard: number) => void;
}

/** Slices of `apply` that are under way at once: the next one is numbered while shards work on those before. */
const slicesUnderWayMax = 3;

/** Users that are hashed before questions are answered again: about 0.3 ms. */
const usersPerHashStep = 1_024;

/** Changes whose IDs are looked at before questions are answered again: about 0.2 ms. */
const changesCheckedTogether = 2_048;

export class MembershipEngine {
  readonly #numbering = new Numbering();
  readonly #users = this.#numbering.users;
  readonly #rooms = this.#numbering.rooms;
  readonly #map: ShardMap;
  readonly #userShards: UserShards;
  /** Lists of changes that are being sent in slices, and all that wait for them. */
  #turnsTaken = 0;
  /** Settled when the last of them has ended. */
  #lastTurn: Promise<unknown> = Promise.resolve();
  #shards: readonly Shard[] = [];
  /** What the store had: who was in a room, bit u of word u/32, and how many rooms had members. */
  #usersLoaded = new Uint32Array(0);
  #roomsLoaded = 0;
  #fanOuts: readonly FanOut[] = [];

  /** Starts the shards. @throws PublicError INVALID when `shards` is no whole number from 0 to 64 */
  static async open(options: EngineOptions = {}): Promise<MembershipEngine> {
    const shards = options.shards ?? 0;
    if (!Number.isInteger(shards) || shards < 0 || shards > 64) {
      throw new PublicError('INVALID', `shards must be a whole number from 0 to 64, not ${shards}`);
    }
    const engine = new MembershipEngine(shards);
    await engine.#openShards(options, undefined);
    return engine;
  }

  /**
   * The same, with what a store holds: names are read on this thread, memberships in the shards, at the same time. Shards
   * that die are loaded again. What is applied is not written to the store: the ingest does that.
   * @throws PublicError DAMAGED, UNAVAILABLE
   */
  static async load(store: Store, options: LoadedEngineOptions): Promise<MembershipEngine> {
    const engine = new MembershipEngine(options.shards ?? 0);
    try {
      await engine.#openShards(options, store);
      await engine.#load(store, options.onProgress);
    } catch (error) {
      await engine.close();
      throw error;
    }
    return engine;
  }

  private constructor(shards: number) {
    this.#map = new ShardMap(Math.max(shards, 1));
    this.#userShards = new UserShards(Math.max(shards, 1));
  }

  /** How many shards there are: at least one. */
  get shardCount(): number {
    return this.#shards.length;
  }

  /** Why the engine cannot answer: the first shard's failure; undefined while it can. */
  get failure(): string | undefined {
    for (const shard of this.#shards) if (shard.failure !== undefined) return shard.failure;
    return undefined;
  }

  /** IDs that were read from the store and are joined to nothing: what a compaction would drop. */
  countUnused(): { unused: number; known: number } {
    let users = 0;
    for (let word = 0; word < this.#usersLoaded.length; word += 1)
      for (let bits = this.#usersLoaded[word]; bits !== 0; bits &= bits - 1) users += 1;
    const known = this.#users.count + this.#rooms.count;
    return { unused: known - users - this.#roomsLoaded, known };
  }

  /** How many questions wait for each shard. */
  get waiting(): number[] {
    return this.#fanOuts.map((fanOut) => fanOut.waiting);
  }

  /** The user is joined to the room from now on. @returns whether that is news */
  async join(userId: string, roomId: string): Promise<boolean> {
    return (await this.apply([{ userId, roomId, joined: true }])).applied === 1;
  }

  /** The user is not joined to the room from now on. @returns whether that is news */
  async leave(userId: string, roomId: string): Promise<boolean> {
    return (await this.apply([{ userId, roomId, joined: false }])).applied === 1;
  }

  /**
   * States memberships, in order. Calls take effect in the order in which they are made. A list of more than 256 is checked
   * and goes in slices between which questions are answered: until the promise resolves they may see a part of it. The
   * list is copied when the call is made.
   * @throws PublicError INVALID for an ID that is none, with nothing applied; FULL, UNAVAILABLE. Applying the same
   *   changes again does no harm.
   */
  async apply(changes: readonly Change[]): Promise<Applied> {
    const isLong = changes.length > changesPerTaskMax;
    const list = changes.slice();
    this.#checkAvailable();
    const applied = await this.#inOrder(isLong, async () => {
      if (isLong) await this.#check(list);
      return this.#sendInSlices(list.length, (from, end) => this.#numbering.changes(list.slice(from, end)));
    });
    return { applied, ignored: list.length - applied };
  }

  /**
   * The first half of `apply`, for who stores changes before they are seen: gives names numbers. One call at a time.
   * @returns the changes as log/changes.ts lays them out
   */
  async number(changes: readonly Change[]): Promise<Uint32Array> {
    if (changes.length <= changesPerTaskMax) return this.#numbering.changes(changes);
    await this.#check(changes);
    const numbered = new Uint32Array(changes.length * 2);
    let end = 0;
    for (let at = 0; at < changes.length; at += changesPerTaskMax) {
      if (at > 0) await setImmediate();
      const slice = this.#numbering.changes(changes.slice(at, at + changesPerTaskMax));
      numbered.set(slice, end);
      end += slice.length;
    }
    return numbered.subarray(0, end);
  }

  /**
   * The second half.
   * @param isAtOnce whether no question sees a part of them, but those that are under way already: they hold each shard until all are made
   * @returns how many changed anything
   */
  async applyNumbered(changes: Uint32Array, isAtOnce = false): Promise<number> {
    if (isAtOnce) return this.#inOrder(false, () => this.#send(changes));
    return this.#inOrder(changes.length > changesPerTaskMax * 2, () =>
      // Copies: a view is sent to a thread with all the memory behind it.
      this.#sendInSlices(changes.length / 2, (from, end) => changes.slice(from * 2, end * 2)),
    );
  }

  /** The rooms that all these users are joined to; with one user, that user's rooms. Unknown users are in none. */
  async mutual(users: readonly string[], options: MutualOptions = {}): Promise<MutualRooms> {
    const limit = options.limit ?? roomsPerPageMax;
    const start =
      options.after === undefined ? 0 : startAfter(options.after, this.#rooms.find(options.after));
    const page = await this.#page(users, start, limit, false);
    const rooms = Array.from(page.rooms, (room) => this.#rooms.names.text(room));
    return { rooms, count: page.count, more: page.nextStart !== undefined };
  }

  /**
   * The same, with the room IDs as JSON bytes, for an answer that is put together from them.
   * @param start where the page begins: 0, or the `nextStart` of the page before
   */
  async mutualPage(users: readonly string[], start: number, limit: number): Promise<Page> {
    return this.#page(users, start, limit, true);
  }

  /** Whether the two users share a room. */
  async shares(userId: string, otherId: string): Promise<boolean> {
    return (await this.sharesMany(userId, [otherId]))[0];
  }

  /** Whether the user shares a room with each of the others, in their order; at most 10,000 others. */
  async sharesMany(userId: string, otherIds: readonly string[]): Promise<boolean[]> {
    checkOthers(otherIds);
    this.#checkAvailable();
    const user = this.#numbering.userNo(userId);
    const others = this.#numbering.userNos(otherIds);
    const call = new SharesCall(others.length);
    const shards = this.#userShards.of(user);
    for (let shard = 0; shard < this.#shards.length; shard += 1) {
      if (!this.#userShards.has(shards, shard)) continue;
      const places = this.#userShards.whoMayBeIn(shard, others);
      if (places.length === 0) continue;
      const question = sharesQuestion(
        user,
        places.map((place) => others[place]),
      );
      this.#fanOuts[shard].ask(question, call, call.expect(places));
    }
    return call.allAsked();
  }

  /** The rooms of one user. */
  async roomsOf(userId: string, options: MutualOptions = {}): Promise<MutualRooms> {
    return this.mutual([userId], options);
  }

  /** Takes the user out of every room. @returns out of how many */
  async forgetUser(userId: string): Promise<number> {
    return this.#inOrder(false, async () => {
      const user = this.#numbering.userNo(userId);
      this.#userShards.clear(user);
      const removed = await Promise.all(this.#shards.map((shard) => shard.forgetUser(user)));
      return sumOf(removed);
    });
  }

  /** Takes everybody out of the room. Looks at every user, in steps between which questions are answered. */
  async forgetRoom(roomId: string): Promise<number> {
    return this.#inOrder(true, async () => {
      const room = this.#rooms.find(roomId);
      if (room === -1) return 0;
      const shard = this.#shards[this.#map.shardOf(room)];
      let removed = 0;
      for (let first = 0; first <= this.#users.count; first += usersPerForgetStep) {
        if (first > 0) await setImmediate();
        removed += await shard.forgetRoom(room, first, first + usersPerForgetStep);
      }
      return removed;
    });
  }

  /** Another set of memberships under the same numbers: to fill with what is to hold, and to compare. Who opens it closes it. */
  async openShadow(): Promise<Shadow> {
    const { names } = this.#rooms;
    const isInline = this.#shards[0] instanceof InlineShard;
    const shards = this.#map.ranges.map(async (partitions): Promise<Shard> =>
      isInline ? new InlineShard(partitions, names) : PooledShard.open({ partitions, names }),
    );
    const started = await Promise.allSettled(shards);
    const opened = started.flatMap((shard) => (shard.status === 'fulfilled' ? shard.value : []));
    const failed = started.find((shard) => shard.status === 'rejected');
    if (failed === undefined) return new Shadow(opened, this.#map, isInline);
    await Promise.all(opened.map((shard) => shard.close()));
    throw failed.reason;
  }

  /** What differs between this and the shadow: changes (log/changes.ts) by ascending user and room, in pieces. */
  differences(shadow: Shadow): AsyncGenerator<Uint32Array> {
    return shadow.differences(async (first, end) => this.#list(first, end), this.#usersEnd);
  }

  /**
   * Who is joined to these rooms; at most `roomsPerSearchMax` of them. Looks at every user, in steps between which questions are
   * answered, so changes made meanwhile may be in it or not.
   * @returns the members of each room that has any
   */
  async membersOf(roomIds: readonly string[]): Promise<Map<string, string[]>> {
    assert(roomIds.length <= roomsPerSearchMax, 'members are looked for in at most roomsPerSearchMax rooms');
    const numbers = roomIds.map((roomId) => this.#rooms.find(roomId)).filter((room) => room !== -1);
    const rooms = Uint32Array.from(numbers).sort();
    const members = new Map<string, string[]>();
    for (let first = 0; first < this.#usersEnd && rooms.length > 0; first += usersPerForgetStep) {
      const list = await this.#list(first, first + usersPerForgetStep, rooms);
      for (let at = 0; at < list.length; at += 2 + list[at + 1]) {
        const userId = this.#users.names.text(list[at]);
        for (const room of list.subarray(at + 2, at + 2 + list[at + 1])) {
          const roomId = this.#rooms.names.text(room);
          const those = members.get(roomId);
          if (those === undefined) members.set(roomId, [userId]);
          else those.push(userId);
        }
      }
      await setImmediate();
    }
    return members;
  }

  /**
   * How many are joined to each room, and the sum of a hash of each of them. In steps between which questions are answered, so
   * rooms that are changed meanwhile come out wrong.
   * @param hashOf without it all hashes are 0
   */
  async sumRooms(hashOf?: (userId: string) => number): Promise<RoomTotals> {
    const sums = RoomSums.of(this.#rooms.names);
    const { names } = this.#users;
    for (let first = 1; first < this.#usersEnd; first += usersPerListStep) {
      const hashes = new Int32Array(Math.min(usersPerListStep, this.#usersEnd - first));
      for (let index = 0; hashOf !== undefined && index < hashes.length; index += 1) {
        if (index % usersPerHashStep === 0) await setImmediate();
        hashes[index] = hashOf(names.text(first + index));
      }
      await Promise.all(this.#shards.map((shard) => shard.sum(first, hashes, sums)));
      await setImmediate();
    }
    return new RoomTotals(sums, this.#rooms);
  }

  async stats(): Promise<IndexStats> {
    const shards = await Promise.all(this.#shards.map((shard) => shard.stats()));
    const sum = (part: (stats: (typeof shards)[number]) => number): number =>
      shards.reduce((total, stats) => total + part(stats), 0);
    const users = this.#users.bytes;
    const rooms = this.#rooms.bytes;
    return {
      memberships: sum((stats) => stats.memberships),
      usersKnown: this.#users.count,
      roomsKnown: this.#rooms.count,
      bytes: {
        names: users.names + rooms.names,
        tables: users.table + rooms.table,
        handles: sum((stats) => stats.bytes.handles) + this.#userShards.bytes,
        packed: sum((stats) => stats.bytes.packed),
        bitmaps: sum((stats) => stats.bytes.bitmaps),
      },
    };
  }

  /** Ends the worker threads. Questions that are under way are refused. */
  async close(): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.close()));
  }

  /** One past the last one. */
  get #usersEnd(): number {
    return this.#users.count + 1;
  }

  async #list(first: number, end: number, rooms?: Uint32Array): Promise<Uint32Array> {
    return mergedLists(await Promise.all(this.#shards.map((shard) => shard.list(first, end, rooms))));
  }

  async #openShards(
    { shards = 0, onShardFailure, onShardReload, observer }: Partial<LoadedEngineOptions>,
    store: Store | undefined,
  ): Promise<void> {
    const { names } = this.#rooms;
    const open = (partitions: PartitionRange, index: number): Promise<Shard> => {
      const options = { partitions, names, onFailure: (reason: string) => onShardFailure?.(index, reason) };
      return store?.path === undefined
        ? PooledShard.open(options)
        : ReloadedShard.open({ ...options, onReload: () => onShardReload?.(index) });
    };
    this.#shards =
      shards === 0
        ? [new InlineShard(this.#map.ranges[0], names)]
        : await Promise.all(this.#map.ranges.map(open));
    this.#fanOuts = this.#shards.map((shard, index) => new FanOut(shard, index, observer));
  }

  async #load(store: Store, onProgress: Progress): Promise<void> {
    /** What each of those who load says: names, then the shards. */
    const parts = Array.from({ length: this.#shards.length + 1 }, () => ({ done: 0, total: 0 }));
    const progressOf =
      (part: number): Progress =>
      (done, total) => {
        parts[part] = { done, total };
        onProgress(sumOf(parts.map((each) => each.done)), sumOf(parts.map((each) => each.total)));
      };
    const { path } = store;
    const names = store.restoreNames(this.#users, this.#rooms, progressOf(0));
    const sets =
      path === undefined
        ? []
        : this.#shards.map(async (shard, index) => {
            const loaded = await shard.load(path, progressOf(index + 1), store.state);
            this.#userShards.addAll(loaded.users, index);
            this.#countLoaded(loaded);
          });
    // All of them end before anything is closed, whichever fails.
    const results = await Promise.allSettled([names, ...sets]);
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  }

  #countLoaded({ users, rooms }: LoadedSets): void {
    this.#roomsLoaded += rooms;
    if (users.length > this.#usersLoaded.length) {
      const larger = new Uint32Array(users.length);
      larger.set(this.#usersLoaded);
      this.#usersLoaded = larger;
    }
    for (let word = 0; word < users.length; word += 1) this.#usersLoaded[word] |= users[word];
  }

  async #page(users: readonly string[], start: number, limit: number, wantsJson: boolean): Promise<Page> {
    checkUsers(users);
    checkLimit(limit);
    checkStart(start);
    this.#checkAvailable();
    const numbers = this.#numbering.userNos(users);
    const question = pageQuestion(numbers, start, limit, wantsJson);
    const shards = this.#userShards.shared(numbers);
    const asked = this.#fanOuts.filter((_, shard) => this.#userShards.has(shards, shard));
    // Who is unknown, or shares no shard, is asked for in one: an answer without asking would tell by its time.
    if (asked.length === 0) asked.push(this.#fanOuts[numbers[0] % this.#fanOuts.length]);
    const call = new PageCall(asked.length, start, limit);
    for (let slot = 0; slot < asked.length; slot += 1) asked[slot].ask(question, call, slot);
    return call.page;
  }

  /** A shard that cannot answer makes every answer an error, even one that would not have needed it. */
  #checkAvailable(): void {
    const { failure } = this;
    if (failure !== undefined) throw shardUnavailable(failure);
  }

  /**
   * Makes a change now, unless a long one is being made: then after it, and whatever comes later after both.
   * @param isLong whether the change is not sent to the shards whole when the call returns
   */
  #inOrder<Result>(isLong: boolean, change: () => Promise<Result>): Promise<Result> {
    if (!isLong && this.#turnsTaken === 0) return change();
    this.#turnsTaken += 1;
    const turn = this.#turnsTaken === 1 ? change() : this.#lastTurn.then(change);
    const ended = (): void => void (this.#turnsTaken -= 1);
    this.#lastTurn = turn.then(ended, ended);
    return turn;
  }

  /** The whole list, before any of it is made. */
  async #check(changes: readonly Change[]): Promise<void> {
    for (let at = 0; at < changes.length; at += changesCheckedTogether) {
      if (at > 0) await setImmediate();
      this.#numbering.check(changes.slice(at, at + changesCheckedTogether));
    }
  }

  /** @param sliceOf changes as the shards take them. @returns how many changed anything */
  async #sendInSlices(count: number, sliceOf: (from: number, end: number) => Uint32Array): Promise<number> {
    const underWay: Promise<number>[] = [];
    let applied = 0;
    for (let at = 0; at < count; at += changesPerTaskMax) {
      // What came in meanwhile is answered first.
      if (at > 0) await setImmediate();
      if (underWay.length === slicesUnderWayMax) applied += (await underWay.shift()) ?? 0;
      const made = this.#send(sliceOf(at, Math.min(count, at + changesPerTaskMax)));
      // Whoever awaits it hears of it; until then nobody does.
      made.catch(() => undefined);
      underWay.push(made);
    }
    return applied + sumOf(await Promise.all(underWay));
  }

  /** Everything leaves before anything is awaited: changes reach each shard in order. */
  async #send(changes: Uint32Array): Promise<number> {
    const tasks: Promise<number>[] = [];
    // Before the join reaches the shard.
    const parts = this.#map.split(changes, (user, shard) => this.#userShards.add(user, shard));
    for (const [shard, part] of parts.entries())
      if (part.length > 0) tasks.push(this.#shards[shard].apply(part));
    return sumOf(await Promise.all(tasks));
  }
}

function sumOf(values: readonly number[]): number {
  return values.reduce((sum, value) => sum + value, 0);
}
