/**
 * The synchronous index, for embedding in a bot, a bridge or a test: one thread, no promise, no native dependency but
 * Roaring. `MembershipEngine` (engine.ts) answers the same words over worker threads.
 *
 * Cost: about 30 bytes a user or room + its name, 4 bytes and slack a membership; a question between two users of ten
 * rooms takes about a microsecond (`npm run bench -- engine`).
 */
import {
  changeFromEvent,
  changeFromRecord,
  checkName,
  checkRecords,
  type Change,
  type MemberEvent,
  type MembershipRecord,
} from '../base/change.js';
import type { UserNo } from '../base/ids.js';
import { changesPerTaskMax } from './bounds.js';
import { roomsPerPageMax } from '../base/limits.js';
import { JsonList } from '../directory/json-list.js';
import type { Intersection } from '../sets/intersection.js';
import { DenseHandles } from '../shard/handles.js';
import { Membership } from '../shard/membership.js';
import { Directory } from '../directory/directory.js';
import type { Page } from './page.js';
import {
  checkLimit,
  checkMutualOptions,
  checkOthers,
  checkStart,
  checkUsers,
  startAfter,
  type Applied,
  type IndexStats,
  type MutualOptions,
  type MutualRooms,
} from './questions.js';

/** Of every empty page: most pairs of users share nothing. */
const noRooms = new Uint32Array(0);
const noJson = Buffer.alloc(0);

/**
 * @example
 * const index = new MembershipIndex();
 * index.join('@alice:example.org', '!tea:example.org');
 * index.join('@bob:example.org', '!tea:example.org');
 * index.mutual(['@alice:example.org', '@bob:example.org']);
 * // { rooms: ['!tea:example.org'], count: 1, more: false }
 */
export class MembershipIndex {
  #directory = new Directory();
  #users = this.#directory.users;
  #rooms = this.#directory.rooms;
  #membership = new Membership(new DenseHandles());
  #json = new JsonList(this.#rooms.names);
  /** Two users that are looked up together. */
  readonly #pair = ['', ''];

  /**
   * The user is joined to the room from now on.
   * @returns whether that is news
   * @throws PublicError INVALID when an ID is empty, longer than 1,024 bytes or not well-formed Unicode
   */
  join(userId: string, roomId: string): boolean {
    const known = this.#rooms.find(roomId);
    // Checked before either gets a number: a bad ID leaves nothing behind.
    if (known === -1) {
      checkName('userId', userId);
      checkName('roomId', roomId);
    }
    const user = this.#users.intern(userId);
    return this.#membership.set(user, known === -1 ? this.#rooms.intern(roomId) : known, true);
  }

  /** The user is not joined to the room from now on. @returns whether that is news */
  leave(userId: string, roomId: string): boolean {
    const user = this.#users.find(userId);
    const room = this.#rooms.find(roomId);
    return user !== -1 && room !== -1 && this.#membership.set(user, room, false);
  }

  /**
   * States many memberships, in order, as homeservers write them down. Only `join` counts as joined.
   * @throws PublicError INVALID at the first record that is none; those before it are applied
   */
  apply(records: Iterable<MembershipRecord>): Applied {
    checkRecords(records);
    let count = 0;
    let applied = 0;
    let block: Change[] = [];
    try {
      for (const record of records) {
        block.push(changeFromRecord(record));
        count += 1;
        if (block.length < changesPerTaskMax) continue;
        const whole = block;
        block = [];
        applied += this.#applyBlock(whole);
      }
    } finally {
      applied += this.#applyBlock(block);
    }
    return { applied, ignored: count - applied };
  }

  /**
   * States the membership of an `m.room.member` event, as SDKs hand it over.
   * @param roomId where the event does not say it
   * @returns whether that is news
   * @throws PublicError INVALID for another event
   */
  applyEvent(event: MemberEvent, roomId?: string): boolean {
    const change = changeFromEvent(event, roomId);
    return change.joined ? this.join(change.userId, change.roomId) : this.leave(change.userId, change.roomId);
  }

  /** Whether the user is joined to the room. */
  has(userId: string, roomId: string): boolean {
    const user = this.#users.find(userId);
    const room = this.#rooms.find(roomId);
    return user !== -1 && room !== -1 && this.#membership.has(user, room);
  }

  /**
   * All memberships, by user: what `apply` of another index takes, and `import` as lines of JSON. The index must not change
   * meanwhile.
   */
  *memberships(): Generator<MembershipRecord> {
    for (let user = 1; user < this.#directory.usersEnd; user += 1) {
      const rooms = this.#membership.roomsOf(user as UserNo);
      if (rooms.length === 0) continue;
      const user_id = this.#users.names.text(user);
      for (const room of rooms) yield { user_id, room_id: this.#rooms.names.text(room), membership: 'join' };
    }
  }

  /** Forgets everybody and every room. */
  clear(): void {
    this.#directory = new Directory();
    this.#users = this.#directory.users;
    this.#rooms = this.#directory.rooms;
    this.#membership = new Membership(new DenseHandles());
    this.#json = new JsonList(this.#rooms.names);
  }

  /** The rooms that all these users are joined to; with one user, that user's rooms. Unknown users are in none. */
  mutual(users: readonly string[], options: MutualOptions = {}): MutualRooms {
    checkMutualOptions(options);
    const start =
      options.after === undefined ? 0 : startAfter(options.after, this.#rooms.find(options.after));
    const page = this.#intersect(users, start, options.limit ?? roomsPerPageMax);
    const rooms = Array.from(page.rooms.subarray(0, page.taken), (room) => this.#rooms.names.text(room));
    return { rooms, count: page.count, more: page.taken < page.beyond };
  }

  /**
   * The same, with the room IDs as JSON bytes, for an answer that is put together from them.
   * @internal
   * @param start where the page begins: 0, or the `nextStart` of the page before
   */
  mutualPage(users: readonly string[], start: number, limit: number): Page {
    const { count, beyond, taken, rooms } = this.#intersect(users, start, limit);
    if (beyond === 0) return { count, rooms: noRooms, json: noJson, nextStart: undefined };
    this.#json.clear();
    this.#json.add(rooms, taken);
    return {
      count,
      rooms: rooms.slice(0, taken),
      json: Buffer.from(this.#json.bytes.subarray(0, this.#json.end)),
      nextStart: taken < beyond ? (taken === 0 ? start : rooms[taken - 1] + 1) : undefined,
    };
  }

  /** Whether the two users share a room. Stops at the first one. */
  shares(userId: string, otherId: string): boolean {
    this.#pair[0] = userId;
    this.#pair[1] = otherId;
    const [user, other] = this.#directory.userNos(this.#pair);
    return this.#membership.shares(user as UserNo, other as UserNo);
  }

  /** Whether the user shares a room with each of the others, in their order; at most 10,000 others. */
  sharesMany(userId: string, otherIds: readonly string[]): boolean[] {
    checkOthers(otherIds);
    const user = this.#userNo(userId);
    const others = this.#directory.userNos(otherIds) as unknown as ArrayLike<UserNo>;
    const shared = new Array<boolean>(others.length);
    for (let index = 0; index < others.length; index += 1)
      shared[index] = this.#membership.shares(user, others[index]);
    return shared;
  }

  /** The rooms of one user. */
  roomsOf(userId: string, options: MutualOptions = {}): MutualRooms {
    return this.mutual([userId], options);
  }

  /** Takes the user out of every room. @returns out of how many */
  forgetUser(userId: string): number {
    return this.#membership.forgetUser(this.#userNo(userId));
  }

  /** Takes everybody out of the room. Looks at every user: about 20 ns each. @returns how many were in it */
  forgetRoom(roomId: string): number {
    const room = this.#rooms.find(roomId);
    return room === -1 ? 0 : this.#membership.forgetRoom(room, 0, this.#membership.usersEnd);
  }

  stats(): IndexStats {
    const users = this.#users.bytes;
    const rooms = this.#rooms.bytes;
    return {
      memberships: this.#membership.count,
      usersKnown: this.#users.count,
      roomsKnown: this.#rooms.count,
      bytes: {
        names: users.names + rooms.names,
        tables: users.table + rooms.table,
        ...this.#membership.bytes,
        rooms: 0,
      },
    };
  }

  /** Checks the whole structure. @returns the first fault by name, or undefined */
  validate(): string | undefined {
    return this.#membership.fault();
  }

  #applyBlock(changes: readonly Change[]): number {
    return this.#membership.apply(this.#directory.number(changes));
  }

  #intersect(users: readonly string[], start: number, limit: number): Intersection {
    checkUsers(users);
    checkLimit(limit);
    checkStart(start);
    const numbers = this.#directory.userNos(users) as unknown as ArrayLike<UserNo>;
    return this.#membership.mutual(numbers, start, limit);
  }

  #userNo(userId: string): UserNo {
    return this.#directory.userNo(userId);
  }
}
