/**
 * The passes of a compaction (compact.ts), from one environment to another: which users and rooms are kept, their names
 * under new numbers, their room sets, and what the store says of itself. Goes in slices: a transaction each, and the
 * event loop turns between them.
 */
import { setImmediate } from 'node:timers/promises';
import { assert } from '../base/assert.js';
import { firstRoomOf, partitionCount, partitionOf, sequenceBits, type RoomNo } from '../base/ids.js';
import { nameBytesMax, pageTokenLifetimeMs } from '../base/limits.js';
import { wordsOf as wordsOfName } from '../directory/encoder.js';
import { lengthMask } from '../directory/names.js';
import { portableBytes, writePortable } from '../sets/portable.js';
import { nameCountsLength, userCountAt } from '../directory/name-counts.js';
import { cursorKey, namesPerBlock, roomBlockKey, partitionOfRoomBlock, userBlockKey } from './layout.js';
import type { Environment, Snapshot, Table } from './lmdb.js';
import { putNameCounts, readNameCounts } from './name-blocks.js';
import { lastCommit } from './read-recent.js';
import { RoomSetWriter } from './room-set-writer.js';
import { StateReader } from './state-reader.js';
import { wordsOf } from './words.js';

/** Records in a transaction: more of them take more memory, fewer wait more often for the disk. */
const recordsPerSlice = 20_000;

/** What is dropped, in the tables of new numbers. */
const dropped = 0xffffffff;

const sequenceMask = 2 ** sequenceBits - 1;

export class Compactor {
  readonly #old: Environment;
  readonly #next: Environment;
  readonly #snapshot: Snapshot;
  /** Told how many users have been gone over, twice all of them in the end. */
  readonly #onUsers: (count: number) => void;
  readonly #oldCounts: Uint32Array;
  readonly #nextCounts = new Uint32Array(nameCountsLength);
  /** By old user: whether it is kept, bit u of word u/32. */
  readonly #usersKept: Uint32Array;
  /** By partition and old sequence: 1 for a room that has members, and then the next sequence of it. */
  readonly #nextSequences: Uint32Array[];
  memberships = 0;

  constructor(old: Environment, next: Environment, snapshot: Snapshot, onUsers: (count: number) => void) {
    this.#old = old;
    this.#next = next;
    this.#snapshot = snapshot;
    this.#onUsers = onUsers;
    this.#oldCounts = readNameCounts(old, snapshot);
    this.#usersKept = new Uint32Array((this.#oldCounts[userCountAt] >>> 5) + 1);
    this.#nextSequences = Array.from(
      { length: partitionCount },
      (_, partition) => new Uint32Array(this.#oldCounts[partition]),
    );
  }

  get users(): number {
    return this.#nextCounts[userCountAt];
  }

  get rooms(): number {
    return this.#nextCounts.reduce((sum, count) => sum + count, 0) - this.users;
  }

  /** The first pass: who has rooms, and which rooms have members. */
  async findKept(): Promise<void> {
    await this.#eachUser(0, ({ user, rooms, count }) => {
      this.#usersKept[user >>> 5] |= 1 << (user & 31);
      this.#nextCounts[userCountAt] += 1;
      this.memberships += count;
      for (let index = 0; index < count; index += 1) {
        const room = rooms[index] as RoomNo;
        this.#nextSequences[partitionOf(room)][room & sequenceMask] = 1;
      }
    });
    for (const [partition, sequences] of this.#nextSequences.entries()) {
      let next = 0;
      for (let sequence = 0; sequence < sequences.length; sequence += 1)
        sequences[sequence] = sequences[sequence] === 1 ? next++ : dropped;
      this.#nextCounts[partition] = next;
    }
  }

  /** Every room that is kept, by its old number: what `StoredEarlierEpoch` holds. */
  keptRooms(): Uint8Array {
    const rooms = new Uint32Array(this.rooms);
    let end = 0;
    for (const [partition, sequences] of this.#nextSequences.entries()) {
      const first = firstRoomOf(partition);
      for (let sequence = 0; sequence < sequences.length; sequence += 1)
        if (sequences[sequence] !== dropped) rooms[end++] = first + sequence;
    }
    assert(end === rooms.length, 'every kept room is counted once');
    const kept = new Uint8Array(portableBytes(rooms, 0, end));
    writePortable(rooms, 0, end, kept, 0);
    return kept;
  }

  async writeNames(): Promise<void> {
    // Users begin at 1.
    const isUserKept = (index: number): boolean => {
      const user = index + 1;
      return (this.#usersKept[user >>> 5] & (1 << (user & 31))) !== 0;
    };
    await this.#writeLanes(
      this.#old.userNames,
      this.#next.userNames,
      () => userCountAt,
      isUserKept,
      (_, block) => userBlockKey(block),
    );
    const isRoomKept = (index: number, lane: number): boolean => this.#nextSequences[lane][index] !== dropped;
    await this.#writeLanes(
      this.#old.roomNames,
      this.#next.roomNames,
      partitionOfRoomBlock,
      isRoomKept,
      roomBlockKey,
    );
    this.#next.write(() => putNameCounts(this.#next, this.#nextCounts));
  }

  /** The second pass. */
  async writeSets(): Promise<void> {
    const writer = new RoomSetWriter(this.#next);
    let nextUser = 0;
    await this.#eachUser(this.#oldCounts[userCountAt], ({ rooms, count }) => {
      nextUser += 1;
      // In place: the order within a partition is kept, so they ascend as before.
      for (let index = 0; index < count; index += 1) {
        const partition = partitionOf(rooms[index] as RoomNo);
        rooms[index] = firstRoomOf(partition) + this.#nextSequences[partition][rooms[index] & sequenceMask];
      }
      writer.put(nextUser, rooms, count);
    });
    assert(nextUser === this.users, 'both passes see the same users');
  }

  /** What the store says of itself. @param epoch of the numbering from now on */
  writeMeta(epoch: number, nowMs: number): void {
    const old = this.#old;
    const identity = old.getMeta('identity', this.#snapshot);
    const format = old.getMeta('format', this.#snapshot);
    assert(identity !== undefined && format !== undefined, 'the store was looked at before');
    const earlier = (old.getMeta('earlier', this.#snapshot) ?? []).filter(
      ({ endedAtMs }) => nowMs - endedAtMs <= pageTokenLifetimeMs,
    );
    const cursors = old
      .metaNames(this.#snapshot)
      .filter((name) => name.startsWith(cursorKey('')))
      .map((name) => [name, Uint8Array.from(old.getBytes(name, this.#snapshot) ?? [])] as const);
    const kept = this.keptRooms();
    this.#next.write(() => {
      this.#next.putMeta('format', format);
      this.#next.putMeta('identity', { epoch, tokenKey: Buffer.from(identity.tokenKey) });
      this.#next.putMeta('earlier', [...earlier, { epoch: identity.epoch, endedAtMs: nowMs, kept }]);
      this.#next.putMeta('counts', { memberships: this.memberships, users: this.users });
      // All commits are folded, and numbers go on.
      this.#next.putMeta('log', { first: lastCommit(old, this.#snapshot) + 1 });
      for (const [name, value] of cursors) this.#next.putBytes(name, value);
    });
  }

  /** Goes over the users, in slices. @param from how many have been told of before */
  async #eachUser(from: number, take: (reader: StateReader) => void): Promise<void> {
    const reader = new StateReader(this.#old, this.#snapshot);
    const slice = (): boolean => {
      for (let record = 0; record < recordsPerSlice; record += 1) {
        if (!reader.next()) return false;
        take(reader);
      }
      return true;
    };
    while (this.#next.write(slice)) {
      this.#onUsers(from + reader.user);
      await setImmediate();
    }
    this.#onUsers(from + this.#oldCounts[userCountAt]);
  }

  async #writeLanes(
    from: Table<number>,
    to: Table<number>,
    laneOf: (key: number) => number,
    isKept: (index: number, lane: number) => boolean,
    keyOf: (lane: number, block: number) => number,
  ): Promise<void> {
    const scan = from.scan({}, this.#snapshot);
    const block = new Uint32Array(namesPerBlock * wordsOfName(nameBytesMax));
    let lane = -1;
    let index = 0;
    let names = 0;
    let blocks = 0;
    let end = 0;
    const flush = (): void => {
      if (names > 0) to.put(keyOf(lane, blocks), new Uint8Array(block.buffer, 0, end * 4));
      blocks += 1;
      names = 0;
      end = 0;
    };
    const take = (key: number): void => {
      const words = wordsOf(scan.bytes, scan.length);
      if (laneOf(key) !== lane) {
        if (lane !== -1) flush();
        lane = laneOf(key);
        index = 0;
        blocks = 0;
      }
      for (let at = 0; at < words.length; index += 1) {
        const size = wordsOfName(words[at] & lengthMask);
        if (isKept(index, lane)) {
          block.set(words.subarray(at, at + size), end);
          end += size;
          names += 1;
          if (names === namesPerBlock) flush();
        }
        at += size;
      }
    };
    const slice = (): boolean => {
      for (let record = 0; record < recordsPerSlice; record += 1) {
        const key = scan.next();
        if (key === undefined) {
          flush();
          return false;
        }
        take(key);
      }
      return true;
    };
    while (this.#next.write(slice)) await setImmediate();
  }
}
