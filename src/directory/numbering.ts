/**
 * Names to numbers, for both faces of the engine: changes on their way in, users of a question on theirs.
 *
 * Only a join gives out numbers: who leaves a room that nobody was ever seen in changes nothing. All names that would get
 * a number are checked before any does, so a bad one leaves nothing behind.
 */
import { checkJoined, checkName, type Change } from '../base/change.js';
import { nobody, type RoomNo, type UserNo } from '../base/ids.js';
import { roomInterner, unknown, userInterner } from './interner.js';
import { changeWord, wordsPerChange } from '../log/changes.js';

export class Numbering {
  readonly users = userInterner();
  readonly rooms = roomInterner();
  #found = new Uint32Array(64);

  /** Unknown users are asked for like others, as nobody, who is joined to nothing. */
  userNo(userId: string): UserNo {
    const user = this.users.find(userId);
    return user === -1 ? nobody : user;
  }

  /** The same for many. @returns a view that the next call overwrites */
  userNos(userIds: readonly string[]): Uint32Array {
    const found = this.#scratch(userIds.length);
    this.users.findMany(userIds, found);
    for (let index = 0; index < found.length; index += 1) if (found[index] === unknown) found[index] = nobody;
    return found;
  }

  /** @throws PublicError INVALID for a join with an ID that is none: what `changes` would find too, but part by part */
  check(changes: readonly Change[]): void {
    for (const { userId, roomId, joined } of changes) {
      checkJoined(joined);
      if (!joined) continue;
      checkName('userId', userId);
      checkName('roomId', roomId);
    }
  }

  /**
   * @returns the changes as log/changes.ts lays them out, in order, without those that can change nothing
   * @throws PublicError INVALID for an ID that is none, and FULL
   */
  changes(changes: readonly Change[]): Uint32Array {
    const count = changes.length;
    const found = this.#scratch(count * 2);
    const users = found.subarray(0, count);
    const rooms = found.subarray(count);
    this.users.findMany(
      changes.map(({ userId }) => userId),
      users,
    );
    this.rooms.findMany(
      changes.map(({ roomId }) => roomId),
      rooms,
    );
    for (let index = 0; index < count; index += 1) {
      const { userId, roomId, joined } = changes[index];
      checkJoined(joined);
      if (!joined) continue;
      if (users[index] === unknown) checkName('userId', userId);
      if (rooms[index] === unknown) checkName('roomId', roomId);
    }
    const numbered = new Uint32Array(count * wordsPerChange);
    let end = 0;
    for (let index = 0; index < count; index += 1) {
      const { userId, roomId, joined } = changes[index];
      // What was unknown may have got a number since, from a change before this one.
      const room = rooms[index] === unknown ? this.#roomOf(roomId, joined) : (rooms[index] as RoomNo);
      const user = users[index] === unknown ? this.#userOf(userId, joined) : users[index];
      if (room === -1 || user === -1) continue;
      numbered[end++] = user;
      numbered[end++] = changeWord(room, joined);
    }
    return numbered.subarray(0, end);
  }

  #roomOf(roomId: string, joined: boolean): RoomNo | -1 {
    return joined ? this.rooms.intern(roomId) : this.rooms.find(roomId);
  }

  #userOf(userId: string, joined: boolean): UserNo | -1 {
    return joined ? this.users.intern(userId) : this.users.find(userId);
  }

  #scratch(length: number): Uint32Array {
    if (length > this.#found.length) this.#found = new Uint32Array(length * 2);
    return this.#found.subarray(0, length);
  }
}
