/**
 * The whole-structure check of a store, as of one commit: names both ways, every set, counts, what is not folded in yet,
 * identity. Stops at the first fault and names it. Reads only; a damaged file may end the process (inspect.ts).
 *
 * Cost: all names in interners, as in a server; about a microsecond a user and a few nanoseconds a membership.
 */
import { PublicError } from '../base/errors.js';
import { firstRoomOf, partitionCount, partitionOf, roomNoEnd, type RoomNo } from '../base/ids.js';
import { roomInterner, userInterner, type Interner } from '../directory/interner.js';
import { portableCount, portableFault, readPortable } from '../sets/portable.js';
import { checkFormat, identityOf } from './identity.js';
import { userCountAt } from '../directory/name-counts.js';
import {
  partKeyBytes,
  partitionOfPartKey,
  partsMarkBytes,
  roomsPerRecordMax,
  roomsPerRecordMin,
  userOfPartKey,
  storeFormatMin,
} from './layout.js';
import { Environment, type Snapshot } from './lmdb.js';
import { readNameCounts } from './name-blocks.js';
import { recentFault } from './read-recent.js';
import { restoreNames } from './restore-names.js';
import { StateReader } from './state-reader.js';
import { wordsOf } from './words.js';

/** What a store that has no fault holds. */
export interface StoreTotals {
  readonly users: number;
  readonly rooms: number;
  readonly memberships: number;
  /** Changes that are not folded into the sets yet; they are counted all the same. */
  readonly recentChanges: number;
  readonly usersWithoutRooms: number;
  readonly roomsWithoutMembers: number;
  readonly bytes: number;
}

/** @throws PublicError INVALID for what is no store of this version, DAMAGED with the first fault */
export async function verifyStore(path: string): Promise<StoreTotals> {
  const environment = new Environment({ path, readOnly: true });
  let snapshot: Snapshot | undefined;
  try {
    snapshot = environment.snapshot();
    checkFormat(environment);
    identityOf(environment);
    const verification = new Verification(environment, snapshot);
    return await verification.run();
  } finally {
    snapshot?.done();
    await environment.close();
  }
}

class Verification {
  readonly #environment: Environment;
  readonly #snapshot: Snapshot;
  readonly #users = userInterner();
  readonly #rooms = roomInterner();
  /** How many rooms each partition has names for. */
  readonly #counts: Uint32Array;
  readonly #userCount: number;
  /** What the marks of users with parts promise, less the parts that were seen. */
  readonly #partsMissing = new Map<number, number>();
  #scratch = new Uint32Array(1024);
  #memberships = 0;
  #usersWithRooms = 0;

  constructor(environment: Environment, snapshot: Snapshot) {
    this.#environment = environment;
    this.#snapshot = snapshot;
    this.#counts = readNameCounts(environment, snapshot);
    this.#userCount = this.#counts[userCountAt];
  }

  async run(): Promise<StoreTotals> {
    // Order, places, lengths, padding, partitions, and that no name is there twice.
    await restoreNames(this.#environment, this.#users, this.#rooms, () => undefined, this.#snapshot);
    for (let user = 1; user <= this.#userCount; user += 1) checkName(this.#users, user, 'user');
    for (let partition = 0; partition < partitionCount; partition += 1) {
      const first = firstRoomOf(partition);
      for (let sequence = 0; sequence < this.#counts[partition]; sequence += 1)
        checkName(this.#rooms, first + sequence, 'room');
    }
    this.#checkUsers();
    this.#checkParts();
    const recentChanges = this.#checkRecent();
    this.#checkCounts();
    return { ...this.#totals(), recentChanges, bytes: this.#environment.bytes };
  }

  #totals(): Omit<StoreTotals, 'recentChanges' | 'bytes'> {
    const seen = Array.from(this.#counts.subarray(0, partitionCount), (count) => new Uint8Array(count));
    const reader = new StateReader(this.#environment, this.#snapshot);
    let memberships = 0;
    let usersWithRooms = 0;
    let roomsWithMembers = 0;
    while (reader.next()) {
      usersWithRooms += 1;
      memberships += reader.count;
      for (let index = 0; index < reader.count; index += 1) {
        const partition = partitionOf(reader.rooms[index] as RoomNo);
        const sequence = reader.rooms[index] - firstRoomOf(partition);
        roomsWithMembers += 1 - seen[partition][sequence];
        seen[partition][sequence] = 1;
      }
    }
    return {
      users: this.#userCount,
      rooms: this.#rooms.count,
      memberships,
      usersWithoutRooms: this.#userCount - usersWithRooms,
      roomsWithoutMembers: this.#rooms.count - roomsWithMembers,
    };
  }

  #checkUsers(): void {
    const scan = this.#environment.users.scan({}, this.#snapshot);
    for (let user = scan.next(); user !== undefined; user = scan.next()) {
      if (user < 1 || user > this.#userCount)
        throw damaged(`there are rooms of user ${user}, who has no name`);
      const whose = `the rooms of ${this.#nameOf(user)}`;
      if (scan.length === partsMarkBytes) {
        const count = wordsOf(scan.bytes, partsMarkBytes)[0];
        if (count < roomsPerRecordMin) throw damaged(`${whose}: ${count} are in parts, and too few for that`);
        this.#partsMissing.set(user, count);
      } else {
        const count = this.#checkSet(whose, scan.bytes, scan.length, 0, partitionCount);
        if (count > roomsPerRecordMax) throw damaged(`${whose}: one record holds ${count} of them`);
      }
      this.#usersWithRooms += 1;
    }
  }

  #checkParts(): void {
    const scan = this.#environment.parts.scan({}, this.#snapshot);
    for (let key = scan.next(); key !== undefined; key = scan.next()) {
      const partition = partitionOfPartKey(key);
      if (key.length !== partKeyBytes || partition >= partitionCount)
        throw damaged(`parts has the key ${Buffer.from(key).toString('hex')}`);
      const user = userOfPartKey(key);
      const missing = this.#partsMissing.get(user);
      if (missing === undefined)
        throw damaged(`parts has rooms of user ${user}, who is not said to have parts`);
      const whose = `the rooms of ${this.#nameOf(user)} in partition ${partition}`;
      const count = this.#checkSet(whose, scan.bytes, scan.length, partition, partition + 1);
      this.#partsMissing.set(user, missing - count);
    }
    for (const [user, missing] of this.#partsMissing)
      if (missing !== 0)
        throw damaged(`the rooms of ${this.#nameOf(user)}: ${missing} more are promised than there are`);
  }

  /** @returns how many rooms the set has */
  #checkSet(
    whose: string,
    bytes: Uint8Array,
    length: number,
    firstPartition: number,
    endPartition: number,
  ): number {
    const fault = portableFault(bytes, length);
    if (fault !== undefined) throw damaged(`${whose}: ${fault}`);
    const count = portableCount(bytes, length);
    if (count === 0) throw damaged(`${whose}: the set is empty, and should not be there`);
    if (count > this.#scratch.length) this.#scratch = new Uint32Array(count * 2);
    readPortable(bytes, length, 0, roomNoEnd + 1, this.#scratch);
    for (let index = 0; index < count; index += 1) {
      const room = this.#scratch[index] as RoomNo;
      const partition = partitionOf(room);
      const sequence = room - firstRoomOf(partition);
      if (sequence >= this.#counts[partition]) throw damaged(`${whose}: room ${room} has no name`);
      if (partition < firstPartition || partition >= endPartition)
        throw damaged(`${whose}: room ${room} is of partition ${partition}`);
    }
    this.#memberships += count;
    return count;
  }

  /** @returns how many changes there are */
  #checkRecent(): number {
    const scan = this.#environment.recent.scan({}, this.#snapshot);
    let changes = 0;
    let expected = this.#environment.getMeta('log', this.#snapshot)?.first;
    const format = this.#environment.getMeta('format', this.#snapshot)?.format ?? 0;
    if (expected === undefined && format > storeFormatMin)
      throw damaged('it does not say where the log of commits stands');
    for (let commit = scan.next(); commit !== undefined; commit = scan.next()) {
      if (expected !== undefined && commit !== expected) throw damaged(`commit ${expected} is missing`);
      expected = commit + 1;
      const words = wordsOf(scan.bytes, scan.length);
      const fault = recentFault(words, scan.length, this.#counts);
      if (fault !== undefined) throw damaged(`commit ${commit}: ${fault}`);
      changes += words.length / 2;
    }
    return changes;
  }

  #checkCounts(): void {
    const counts = this.#environment.getMeta('counts', this.#snapshot);
    const found = { memberships: this.#memberships, users: this.#usersWithRooms };
    if (counts?.memberships === found.memberships && counts.users === found.users) return;
    throw damaged(
      `the sets hold ${found.memberships} memberships of ${found.users} users, and the counts say ${counts?.memberships} of ${counts?.users}`,
    );
  }

  #nameOf(user: number): string {
    return JSON.stringify(this.#users.names.text(user));
  }
}

/** Checks that a name leads back to its number, and that its mark for JSON is right. */
function checkName(interner: Interner<number>, number: number, what: string): void {
  const { names } = interner;
  const text = names.text(number);
  const quoted = JSON.stringify(text);
  if (interner.find(text) !== number)
    throw damaged(`${what} ${number} has the name ${quoted}, which is no UTF-8`);
  const position = names.position(number);
  const needsEscape = quoted.length !== text.length + 2;
  if (names.isEscapedAt(position) !== needsEscape)
    throw damaged(`${what} ${quoted} is said ${needsEscape ? 'not ' : ''}to be escaped in JSON`);
}

function damaged(what: string): PublicError {
  return new PublicError('DAMAGED', `the store is damaged: ${what}; put a backup in its place`);
}
