/**
 * The room sets in the store, and how changes are folded into them. A user's rooms are one record in Roaring's portable form. A
 * user in more than `roomsPerRecordMax` rooms has a record for each partition, so that one change rewrites one of them and not
 * all; the user's one record then only says how many rooms the parts hold.
 *
 * Only inside `Environment.write`. Cost: a look-up and a write for each user, whatever the number of changes.
 */
import { partitionCount, partitionOf, roomNoEnd } from '../base/ids.js';
import { roomOf } from '../log/changes.js';
import { portableCount, readPortable } from '../sets/portable.js';
import { partsMarkBytes, roomsPerRecordMin } from './layout.js';
import type { Environment, Table } from './lmdb.js';
import { mergeChanges } from './merge-changes.js';
import { RoomSetWriter } from './room-set-writer.js';
import { wordsOf } from './words.js';

/** One past every RoomNo, as `readPortable` wants it: the end of a container. */
const roomsEnd = roomNoEnd + 1;

export class RoomSetRecords {
  readonly #users: Table<number>;
  readonly #parts: Table<Uint8Array>;
  readonly #writer: RoomSetWriter;
  /** By how much the folded changes have changed the counts since `clear`. */
  memberships = 0;
  users = 0;
  #rooms = new Uint32Array(1024);
  #merged = new Uint32Array(1024);

  constructor(environment: Environment) {
    this.#users = environment.users;
    this.#parts = environment.parts;
    this.#writer = new RoomSetWriter(environment);
  }

  clear(): void {
    this.memberships = 0;
    this.users = 0;
  }

  /**
   * @param words of changes (log/changes.ts); from `from` to `to` ascending, each room once
   */
  fold(user: number, words: Uint32Array, from: number, to: number): void {
    const exists = this.#users.get(user);
    if (exists && this.#users.length === partsMarkBytes) this.#foldParts(user, words, from, to);
    else this.#foldRecord(user, exists, words, from, to);
  }

  #foldRecord(user: number, exists: boolean, words: Uint32Array, from: number, to: number): void {
    const count = exists ? this.#read(this.#users, 0) : 0;
    const next = this.#merge(count, words, from, to);
    if (next === -1) return;
    this.memberships += next - count;
    if (count === 0) this.users += 1;
    if (next === 0) {
      this.users -= 1;
      if (exists) this.#users.remove(user);
    } else this.#writer.put(user, this.#merged, next);
  }

  #foldParts(user: number, words: Uint32Array, from: number, to: number): void {
    const before = this.#readMark();
    let total = before;
    for (let start = from; start < to;) {
      const partition = partitionOf(roomOf(words[start]));
      let end = start + 1;
      while (end < to && partitionOf(roomOf(words[end])) === partition) end += 1;
      const key = this.#writer.partKey(user, partition);
      const count = this.#parts.get(key) ? this.#read(this.#parts, 0) : 0;
      const next = this.#merge(count, words, start, end);
      if (next === 0) this.#parts.remove(key);
      else if (next !== -1) this.#writer.putPart(user, partition, this.#merged, 0, next);
      if (next !== -1) total += next - count;
      start = end;
    }
    this.memberships += total - before;
    if (total >= roomsPerRecordMin) {
      if (total !== before) this.#writer.putMark(user, total);
      return;
    }
    let count = 0;
    for (let partition = 0; partition < partitionCount; partition += 1) {
      const key = this.#writer.partKey(user, partition);
      if (!this.#parts.get(key)) continue;
      count += this.#read(this.#parts, count);
      this.#parts.remove(key);
    }
    if (count === 0) {
      this.users -= 1;
      this.#users.remove(user);
    } else this.#writer.putRecord(user, this.#rooms, count);
  }

  /** Reads the set that a table was last asked for behind `at` others. @returns how many rooms it has */
  #read(
    { bytes, length }: Table<number | Uint8Array> | Table<number> | Table<Uint8Array>,
    at: number,
  ): number {
    const count = portableCount(bytes, length);
    if (at + count > this.#rooms.length) {
      const larger = new Uint32Array((at + count) * 2);
      larger.set(this.#rooms);
      this.#rooms = larger;
    }
    return readPortable(bytes, length, 0, roomsEnd, at === 0 ? this.#rooms : this.#rooms.subarray(at));
  }

  /** Makes the next set out of the one that was read. @returns its count, or -1 when it is the same */
  #merge(count: number, words: Uint32Array, from: number, to: number): number {
    if (count + to - from > this.#merged.length) this.#merged = new Uint32Array((count + to - from) * 2);
    return mergeChanges(this.#rooms, count, words, from, to, this.#merged);
  }

  #readMark(): number {
    return wordsOf(this.#users.bytes, partsMarkBytes)[0];
  }
}
