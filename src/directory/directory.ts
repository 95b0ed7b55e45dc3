/**
 * The directory: names and their numbers, and which shards a user may be in. One writer, here; readers in any thread
 * (`DirectoryReader`), who never wait and never see half an entry.
 *
 * Only a join gives out numbers: a leave from a room that nobody was ever seen in changes nothing. All names that would get
 * a number are checked before any does, so a bad one leaves nothing behind.
 */
import type { MessagePort } from 'node:worker_threads';
import { checkJoined, checkName, type Change } from '../base/change.js';
import { nobody, partitionCount, type RoomNo, type UserNo } from '../base/ids.js';
import { changeWord, wordsPerChange } from '../log/changes.js';
import {
  InternerReader,
  roomInterner,
  unknown,
  userInterner,
  type InternerSubscription,
} from './interner.js';
import { nameCountsLength, userCountAt, type NameCounts } from './name-counts.js';
import { UserShards, type UserShardsSubscription } from './user-shards.js';

/** What a reader in another thread begins with. */
export interface DirectorySubscription {
  readonly users: InternerSubscription;
  readonly rooms: InternerSubscription;
  readonly userShards: UserShardsSubscription;
}

export class Directory {
  readonly users = userInterner();
  readonly rooms = roomInterner();
  readonly userShards: UserShards;
  #found = new Uint32Array(64);

  /** @param shardCount at least one */
  constructor(shardCount = 1) {
    this.userShards = new UserShards(shardCount);
  }

  /** An unknown user is `nobody`, who is joined to nothing, and is asked about like any other. */
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

  /** One past the last user. */
  get usersEnd(): number {
    return this.users.count + 1;
  }

  /** How many names there are by now. */
  counts(): NameCounts {
    const counts = new Uint32Array(nameCountsLength);
    for (let lane = 0; lane < partitionCount; lane += 1) counts[lane] = this.rooms.names.countOf(lane);
    counts[userCountAt] = this.users.count;
    return counts;
  }

  /** @throws PublicError INVALID for a join with an ID that is none: what `number` would find too, but part by part */
  check(changes: readonly Change[]): void {
    for (const { userId, roomId, joined } of changes) {
      checkJoined(joined);
      if (!joined) continue;
      checkName('userId', userId);
      checkName('roomId', roomId);
    }
  }

  /**
   * Gives names their numbers.
   * @returns the changes as log/changes.ts lays them out, in order, without those that can change nothing
   * @throws PublicError INVALID for an ID that is none, and FULL
   */
  number(changes: readonly Change[]): Uint32Array {
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

  /** What a `DirectoryReader` in another thread begins with: posted to it with `portsOf` in the list of what is transferred. */
  subscribe(): DirectorySubscription {
    return {
      users: this.users.subscribe(),
      rooms: this.rooms.subscribe(),
      userShards: this.userShards.subscribe(),
    };
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

/** What must be transferred with a subscription. */
export function portsOf({ users, rooms, userShards }: DirectorySubscription): MessagePort[] {
  return [
    users.names.growth.port,
    users.table.port,
    rooms.names.growth.port,
    rooms.table.port,
    userShards.growth.port,
  ];
}

/** The directory as another thread reads it: all that was written before a call began is seen by it. */
export class DirectoryReader {
  readonly #users: InternerReader<UserNo>;
  readonly #rooms: InternerReader<RoomNo>;
  readonly #userShards: UserShards;

  constructor({ users, rooms, userShards }: DirectorySubscription) {
    this.#users = new InternerReader(users);
    this.#rooms = new InternerReader(rooms);
    this.#userShards = UserShards.open(userShards);
  }

  /** @returns `nobody` for an unknown user */
  userNo(userId: string): UserNo {
    const user = this.#users.find(userId);
    return user === -1 ? nobody : user;
  }

  /** @returns -1 for an unknown room */
  roomNo(roomId: string): RoomNo | -1 {
    return this.#rooms.find(roomId);
  }

  userId(user: UserNo): string {
    this.#users.names.renew();
    return this.#users.names.text(user);
  }

  roomId(room: RoomNo): string {
    this.#rooms.names.renew();
    return this.#rooms.names.text(room);
  }

  /** Whether the user may have rooms in a shard. */
  mayBeIn(user: UserNo, shard: number): boolean {
    this.#userShards.renew();
    return this.#userShards.has(this.#userShards.of(user), shard);
  }

  close(): void {
    this.#users.close();
    this.#rooms.close();
    this.#userShards.close();
  }
}
