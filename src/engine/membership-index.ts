/**
 * The synchronous index, for embedding in a bot, a bridge or a test: one thread, no promise, no native dependency but
 * Roaring. `MembershipEngine` (engine.ts) answers the same words over worker threads.
 *
 * Cost: about 50 bytes a user or room + its name, 4 bytes and slack a membership; a question between two users of ten
 * rooms takes about a microsecond (`npm run bench -- engine`).
 */
import { changeFrom, checkName, type Change, type MembershipRecord } from '../base/change.js';
import { nobody, type UserNo } from '../base/ids.js';
import { roomsPerPageMax } from '../base/limits.js';
import { roomInterner, userInterner } from '../intern/interner.js';
import { Membership } from '../shard/membership.js';
import {
  checkLimit,
  checkOthers,
  checkUsers,
  startAfter,
  type Applied,
  type IndexStats,
  type MutualOptions,
  type MutualRooms,
} from './questions.js';

/**
 * @example
 * const index = new MembershipIndex();
 * index.join('@alice:example.org', '!tea:example.org');
 * index.join('@bob:example.org', '!tea:example.org');
 * index.mutual(['@alice:example.org', '@bob:example.org']);
 * // { rooms: ['!tea:example.org'], count: 1, more: false }
 */
export class MembershipIndex {
  readonly #users = userInterner();
  readonly #rooms = roomInterner();
  readonly #membership = new Membership();

  /**
   * The user is joined to the room from now on.
   * @returns whether that is news
   * @throws PublicError INVALID when an ID is empty, longer than 1,024 bytes or not well-formed Unicode
   */
  join(userId: string, roomId: string): boolean {
    checkName('userId', userId);
    checkName('roomId', roomId);
    return this.#membership.set(this.#users.intern(userId), this.#rooms.intern(roomId), true);
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
    let applied = 0;
    let ignored = 0;
    for (const record of records) {
      if (this.#applyChange(changeFrom(record))) applied += 1;
      else ignored += 1;
    }
    return { applied, ignored };
  }

  /** The rooms that all these users are joined to; with one user, that user's rooms. Unknown users are in none. */
  mutual(users: readonly string[], options: MutualOptions = {}): MutualRooms {
    checkUsers(users);
    const limit = options.limit ?? roomsPerPageMax;
    checkLimit(limit);
    const start =
      options.after === undefined ? 0 : startAfter(options.after, this.#rooms.find(options.after));
    const page = this.#membership.mutual(
      users.map((user) => this.#userNo(user)),
      start,
      limit,
    );
    const rooms = Array.from(page.rooms.subarray(0, page.taken), (room) => this.#rooms.names.text(room));
    return { rooms, count: page.count, more: page.taken < page.beyond };
  }

  /** Whether the two users share a room. Stops at the first one. */
  shares(userId: string, otherId: string): boolean {
    return this.#membership.shares(this.#userNo(userId), this.#userNo(otherId));
  }

  /** Whether the user shares a room with each of the others, in their order; at most 10,000 others. */
  sharesMany(userId: string, otherIds: readonly string[]): boolean[] {
    checkOthers(otherIds);
    const user = this.#userNo(userId);
    return otherIds.map((otherId) => this.#membership.shares(user, this.#userNo(otherId)));
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
      },
    };
  }

  /** Checks the whole structure. @returns the first fault by name, or undefined */
  validate(): string | undefined {
    return this.#membership.fault();
  }

  #applyChange({ userId, roomId, joined }: Change): boolean {
    return joined ? this.join(userId, roomId) : this.leave(userId, roomId);
  }

  #userNo(userId: string): UserNo {
    const user = this.#users.find(userId);
    return user === -1 ? nobody : user;
  }
}
