/**
 * Who is joined where, within one range of partitions: user -> room set, synchronous. The heart of a shard, and of the
 * embedded index, which has all partitions in one.
 *
 * Invariant I5: saying a membership twice equals saying it once. Only rooms of its own partitions are put in.
 * Cost: up to 4 bytes a user (handles.ts) + the room sets.
 */
import type { RoomNo, UserNo } from '../base/ids.js';
import { isJoin, roomOf, userAt, wordAt, wordsPerChange } from '../log/changes.js';
import { Intersection } from '../sets/intersection.js';
import { RunView, lowerBound } from '../sets/packed-runs.js';
import { RoomSets, emptySet } from '../sets/room-sets.js';
import type { Handles } from './handles.js';
import type { RoomSums } from './room-sums.js';
import type { Rooms } from './rooms.js';
import { WordList } from '../log/word-list.js';

export class Membership {
  readonly #sets = new RoomSets();
  readonly #intersection = new Intersection(this.#sets);
  readonly #handles: Handles;
  readonly #view = new RunView();
  #scratch = new Uint32Array(8);
  #count = 0;
  readonly #rooms: Rooms | undefined;

  /**
   * @param handles what fits the share of rooms that are put in: all of them, or a shard's
   * @param rooms is told of every member that comes or goes
   */
  constructor(handles: Handles, rooms?: Rooms) {
    this.#handles = handles;
    this.#rooms = rooms;
  }

  /** How many memberships there are. */
  get count(): number {
    return this.#count;
  }

  /** Beyond every user that was ever joined here. */
  get usersEnd(): number {
    return this.#handles.end;
  }

  get bytes(): { handles: number; packed: number; bitmaps: number } {
    return { handles: this.#handles.bytes, ...this.#sets.bytes };
  }

  /** How many users' sets are bitmaps. */
  get bitmapCount(): number {
    return this.#sets.bitmapCount;
  }

  /** States a membership. @returns whether that changed anything */
  set(user: UserNo, room: RoomNo, joined: boolean): boolean {
    const handle = this.#handles.get(user);
    const next = joined ? this.#sets.add(handle, room) : this.#sets.remove(handle, room);
    if (next === -1) return false;
    if (next !== handle) this.#handles.set(user, next);
    if (joined) {
      this.#count += 1;
      this.#rooms?.join(room);
    } else {
      this.#count -= 1;
      this.#rooms?.leave(room);
    }
    return true;
  }

  /** Whether the user is joined to the room. */
  has(user: UserNo, room: RoomNo): boolean {
    return this.#sets.has(this.#handles.get(user), room);
  }

  /** The user's rooms, ascending. */
  roomsOf(user: UserNo): Uint32Array {
    const handle = this.#handles.get(user);
    if (handle === emptySet) return new Uint32Array(0);
    this.#sets.open(handle, this.#view);
    const { words, start, count } = this.#view;
    return words.slice(start, start + count);
  }

  /** The user has these rooms too: what a store holds, `count` of them, ascending and above those that are there. */
  restore(user: UserNo, rooms: Uint32Array, count: number): void {
    this.#handles.set(user, this.#sets.append(this.#handles.get(user), rooms, count));
    this.#count += count;
    for (let index = 0; index < count; index += 1) this.#rooms?.join(rooms[index] as RoomNo);
  }

  /** States memberships in order, as log/changes.ts lays them out. @returns how many changed anything */
  apply(changes: Uint32Array): number {
    let changed = 0;
    for (let at = 0; at < changes.length; at += wordsPerChange) {
      const word = wordAt(changes, at);
      if (this.set(userAt(changes, at), roomOf(word), isJoin(word))) changed += 1;
    }
    return changed;
  }

  /** Takes the user out of every room. @returns out of how many */
  forgetUser(user: UserNo): number {
    const handle = this.#handles.get(user);
    const count = this.#sets.count(handle);
    if (count === 0) return 0;
    if (this.#rooms !== undefined) {
      this.#sets.open(handle, this.#view);
      const { words, start } = this.#view;
      for (let index = start; index < start + count; index += 1) this.#rooms.leave(words[index] as RoomNo);
    }
    this.#sets.release(handle);
    this.#handles.set(user, emptySet);
    this.#count -= count;
    return count;
  }

  /**
   * Takes the users from `first` to `end` (not included) out of a room. There is no list of a room's members, so this
   * looks at each of these users; who has many users goes in steps.
   * @returns how many were in it
   */
  forgetRoom(room: RoomNo, first: number, end: number): number {
    let removed = 0;
    for (let user = first; user < Math.min(end, this.usersEnd); user += 1) {
      if (this.set(user as UserNo, room, false)) removed += 1;
    }
    return removed;
  }

  /**
   * Who is where, of the users from `first` to `end` (not included).
   * @param rooms only these, ascending; without them all
   * @returns [user, count, rooms...] of each who has any, users and rooms ascending
   */
  list(first: number, end: number, rooms?: Uint32Array): Uint32Array {
    const words = new WordList();
    const among: number[] = [];
    for (let user = first; user < Math.min(end, this.usersEnd); user += 1) {
      const handle = this.#handles.get(user);
      if (handle === emptySet) continue;
      if (rooms === undefined) {
        this.#sets.open(handle, this.#view);
        const { words: from, start, count } = this.#view;
        words.push(user, count);
        words.pushAll(from.subarray(start, start + count));
      } else {
        among.length = 0;
        this.#amongRooms(handle, rooms, among);
        if (among.length > 0) words.push(user, among.length, ...among);
      }
    }
    return words.take();
  }

  /** Which of some rooms are in a set. Goes over the shorter of the two: most people are in few rooms. */
  #amongRooms(handle: number, rooms: Uint32Array, among: number[]): void {
    if (this.#sets.isBitmap(handle)) {
      for (let index = 0; index < rooms.length; index += 1)
        if (this.#sets.has(handle, rooms[index])) among.push(rooms[index]);
      return;
    }
    this.#sets.open(handle, this.#view);
    const { words, start, count } = this.#view;
    let at = 0;
    for (let index = start; index < start + count && at < rooms.length; index += 1) {
      at = lowerBound(rooms, 0, rooms.length, words[index]);
      if (at < rooms.length && rooms[at] === words[index]) among.push(words[index]);
    }
  }

  /** Adds the users from `first` on, one for each hash, to the sums of their rooms. */
  sum(first: number, hashes: Int32Array, sums: RoomSums): void {
    const end = Math.min(first + hashes.length, this.usersEnd);
    for (let user = first; user < end; user += 1) {
      const handle = this.#handles.get(user);
      if (handle === emptySet) continue;
      this.#sets.open(handle, this.#view);
      const { words, start, count } = this.#view;
      const hash = hashes[user - first];
      for (let index = start; index < start + count; index += 1) sums.add(words[index] as RoomNo, hash);
    }
  }

  /** The users who have rooms, bit u of word u/32. */
  usersHere(): Uint32Array {
    const users = new Uint32Array((this.usersEnd + 31) >>> 5);
    for (let user = 0; user < this.usersEnd; user += 1)
      if (this.#handles.get(user) !== emptySet) users[user >>> 5] |= 1 << (user & 31);
    return users;
  }

  /**
   * The rooms that all the users share, from `start` on, at most `limit` of them. With one user: the user's rooms.
   * @returns a view that the next call overwrites
   */
  mutual(users: ArrayLike<UserNo>, start: number, limit: number): Intersection {
    const count = users.length;
    if (count === 2) {
      this.#intersection.ofTwo(this.#handles.get(users[0]), this.#handles.get(users[1]), start, limit);
      return this.#intersection;
    }
    if (count > this.#scratch.length) this.#scratch = new Uint32Array(count);
    for (let index = 0; index < count; index += 1) this.#scratch[index] = this.#handles.get(users[index]);
    this.#intersection.of(this.#scratch.subarray(0, count), start, limit);
    return this.#intersection;
  }

  /** Whether two users share a room. */
  shares(left: UserNo, right: UserNo): boolean {
    return this.#intersection.any(this.#handles.get(left), this.#handles.get(right));
  }

  /** The first fault of the whole structure by name, or undefined: for fuzzing and for `verify`. */
  fault(): string | undefined {
    let count = 0;
    for (let user = 0; user < this.usersEnd; user += 1) {
      const handle = this.#handles.get(user);
      const fault = this.#sets.fault(handle);
      if (fault !== undefined) return `user ${user}: ${fault}`;
      count += this.#sets.count(handle);
    }
    return count === this.#count
      ? undefined
      : `the sets hold ${count} memberships, the count says ${this.#count}`;
  }
}
