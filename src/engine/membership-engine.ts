/**
 * The asynchronous index of the library: the words of `MembershipIndex` over shards, inline or in worker threads. For a
 * process that must not block its event loop, or that wants more than one core.
 *
 * Promise: a change is seen by every question asked after its promise resolved. A shard that cannot answer makes the
 * whole answer an error, never a part of one.
 */
import { setImmediate } from 'node:timers/promises';
import type { RoomNo } from '../base/ids.js';
import {
  changeFromEvent,
  changeFromRecord,
  checkRecords,
  type Change,
  type MemberEvent,
  type MembershipRecord,
} from '../base/change.js';
import { changesPerTaskMax, usersPerSearchStep } from './bounds.js';
import { changeWord } from '../log/changes.js';
import { WordList } from '../log/word-list.js';
import { openEngine, statsOf, type Engine } from './engine.js';
import { numberChanges } from './numbering.js';
import {
  checkKeys,
  checkMutualOptions,
  type Applied,
  type IndexStats,
  type MutualOptions,
  type MutualRooms,
} from './questions.js';
import { ChangeOrder } from './change-order.js';

export interface EngineOptions {
  /** Worker threads, each with a contiguous share of the rooms, 1 to 64; 0 answers on the caller's thread. Default 0. */
  readonly shards?: number;
  /**
   * Called for each shard that lost its memberships: nothing is answered any more. What it held must be applied to a new
   * engine.
   */
  readonly onShardFailure?: (shard: number, reason: string) => void;
}

/**
 * @example
 * const engine = await MembershipEngine.open({ shards: 2 });
 * await engine.join('@alice:example.org', '!tea:example.org');
 * await engine.join('@bob:example.org', '!tea:example.org');
 * await engine.mutual(['@alice:example.org', '@bob:example.org']);
 * // { rooms: ['!tea:example.org'], count: 1, more: false }
 * await engine.close();
 */
export class MembershipEngine {
  readonly #engine: Engine;
  readonly #order = new ChangeOrder();

  /** Starts the shards. @throws PublicError INVALID when `shards` is no whole number from 0 to 64 */
  static async open(options: EngineOptions = {}): Promise<MembershipEngine> {
    checkKeys('options', options, ['shards', 'onShardFailure']);
    return new MembershipEngine(await openEngine(options));
  }

  /** The words of the library over an engine that is there. @internal */
  static over(engine: Engine): MembershipEngine {
    return new MembershipEngine(engine);
  }

  private constructor(engine: Engine) {
    this.#engine = engine;
  }

  /** Why it cannot answer; undefined while it can. */
  get failure(): string | undefined {
    return this.#engine.shards.failure;
  }

  /** The user is joined to the room from now on. @returns whether that is news */
  async join(userId: string, roomId: string): Promise<boolean> {
    return (await this.#make([{ userId, roomId, joined: true }])) === 1;
  }

  /** The user is not joined to the room from now on. @returns whether that is news */
  async leave(userId: string, roomId: string): Promise<boolean> {
    return (await this.#make([{ userId, roomId, joined: false }])) === 1;
  }

  /**
   * States many memberships, in order, as homeservers write them down. Only `join` counts as joined. Calls take effect in the
   * order in which they are made. A long list is checked and goes in slices between which questions are answered: until the
   * promise resolves they may see a part of it. The records are read when the call is made.
   * @throws PublicError INVALID for a record that is none, with nothing applied; FULL, UNAVAILABLE. Applying the same
   *   records again does no harm.
   */
  async apply(records: Iterable<MembershipRecord>): Promise<Applied> {
    checkRecords(records);
    const changes = Array.from(records, changeFromRecord);
    const applied = await this.#make(changes);
    return { applied, ignored: changes.length - applied };
  }

  /**
   * States the membership of an `m.room.member` event, as SDKs hand it over.
   * @param roomId where the event does not say it
   * @returns whether that is news
   * @throws PublicError INVALID for another event
   */
  async applyEvent(event: MemberEvent, roomId?: string): Promise<boolean> {
    return (await this.#make([changeFromEvent(event, roomId)])) === 1;
  }

  /** Whether the user is joined to the room. */
  async has(userId: string, roomId: string): Promise<boolean> {
    const { directory, shards } = this.#engine;
    shards.checkAvailable();
    const user = directory.userNo(userId);
    const room = directory.rooms.find(roomId);
    return room !== -1 && (await shards.list(user, user + 1, Uint32Array.of(room))).length > 0;
  }

  /** The rooms that all these users are joined to; with one user, that user's rooms. Unknown users are in none. */
  async mutual(users: readonly string[], options: MutualOptions = {}): Promise<MutualRooms> {
    checkMutualOptions(options);
    return this.#engine.answerer.mutual(users, options);
  }

  /** Whether the two users share a room. */
  async shares(userId: string, otherId: string): Promise<boolean> {
    return (await this.sharesMany(userId, [otherId]))[0];
  }

  /** Whether the user shares a room with each of the others, in their order; at most 10,000 others. */
  async sharesMany(userId: string, otherIds: readonly string[]): Promise<boolean[]> {
    return this.#engine.answerer.sharesMany(userId, otherIds);
  }

  /** The rooms of one user. */
  async roomsOf(userId: string, options: MutualOptions = {}): Promise<MutualRooms> {
    return this.mutual([userId], options);
  }

  /** Takes the user out of every room. @returns out of how many */
  async forgetUser(userId: string): Promise<number> {
    const { directory, shards } = this.#engine;
    return this.#order.make(true, async () => {
      const user = directory.userNo(userId);
      const leaves = new WordList();
      const list = await shards.list(user, user + 1);
      for (let at = 2; at < list.length; at += 1) leaves.push(user, changeWord(list[at] as RoomNo, false));
      return shards.follow(shards.next, leaves.take(), true);
    });
  }

  /** Takes everybody out of the room. Looks at every user, in steps between which questions are answered. */
  async forgetRoom(roomId: string): Promise<number> {
    const { directory, shards } = this.#engine;
    return this.#order.make(true, async () => {
      const room = directory.rooms.find(roomId);
      if (room === -1) return 0;
      const rooms = Uint32Array.of(room);
      let removed = 0;
      for (let first = 0; first < directory.usersEnd; first += usersPerSearchStep) {
        if (first > 0) await setImmediate();
        const list = await shards.list(first, first + usersPerSearchStep, rooms);
        const leaves = new WordList();
        for (let at = 0; at < list.length; at += 2 + list[at + 1])
          leaves.push(list[at], changeWord(room, false));
        removed += await shards.follow(shards.next, leaves.take());
      }
      return removed;
    });
  }

  async stats(): Promise<IndexStats> {
    return statsOf(this.#engine);
  }

  /** Ends the worker threads. Questions that are under way are refused. */
  async close(): Promise<void> {
    await this.#engine.shards.close();
  }

  async #make(changes: readonly Change[]): Promise<number> {
    const { directory, shards } = this.#engine;
    shards.checkAvailable();
    // A short list has left for the shards when the call returns.
    if (changes.length <= changesPerTaskMax)
      return this.#order.make(false, async () => shards.follow(shards.next, directory.number(changes)));
    return this.#order.make(true, async () => {
      const words = await numberChanges(directory, changes);
      return shards.follow(shards.next, words);
    });
  }
}
