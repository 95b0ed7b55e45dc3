/**
 * Writes room sets down: one record, or a record for each partition and a mark, by `roomsPerRecordMax`. For whoever has a
 * whole set (a compaction, a fold), and for a fold into parts.
 *
 * Only inside `Environment.write`.
 */
import { partitionOf, type RoomNo } from '../base/ids.js';
import { portableBytes, writePortable } from '../sets/portable.js';
import { partKeyBytes, roomsPerRecordMax, writePartKey } from './layout.js';
import type { Environment, Table } from './lmdb.js';

export class RoomSetWriter {
  readonly #users: Table<number>;
  readonly #parts: Table<Uint8Array>;
  readonly #partKey = new Uint8Array(partKeyBytes);
  readonly #mark = new Uint32Array(1);
  #value = new Uint8Array(4096);

  constructor({ users, parts }: Environment) {
    this.#users = users;
    this.#parts = parts;
  }

  /** A whole set of a user who has none, or one record. @param rooms the first `count` of them, ascending, at least one */
  put(user: number, rooms: Uint32Array, count: number): void {
    if (count <= roomsPerRecordMax) {
      this.putRecord(user, rooms, count);
      return;
    }
    for (let start = 0; start < count;) {
      const partition = partitionOf(rooms[start] as RoomNo);
      let end = start + 1;
      while (end < count && partitionOf(rooms[end] as RoomNo) === partition) end += 1;
      this.putPart(user, partition, rooms, start, end - start);
      start = end;
    }
    this.putMark(user, count);
  }

  putRecord(user: number, rooms: Uint32Array, count: number): void {
    this.#users.put(user, this.#portable(rooms, 0, count));
  }

  /** @param rooms `count` of them from `start` on, all of the partition */
  putPart(user: number, partition: number, rooms: Uint32Array, start: number, count: number): void {
    this.#parts.put(this.partKey(user, partition), this.#portable(rooms, start, count));
  }

  /** So many rooms are in the user's parts. */
  putMark(user: number, count: number): void {
    this.#mark[0] = count;
    this.#users.put(user, new Uint8Array(this.#mark.buffer));
  }

  /** @returns a view that the next call overwrites */
  partKey(user: number, partition: number): Uint8Array {
    writePartKey(this.#partKey, user, partition);
    return this.#partKey;
  }

  /** @returns a view that the next call overwrites */
  #portable(rooms: Uint32Array, start: number, count: number): Uint8Array {
    const bytes = portableBytes(rooms, start, count);
    if (bytes > this.#value.length) this.#value = new Uint8Array(bytes * 2);
    return this.#value.subarray(0, writePortable(rooms, start, count, this.#value, 0));
  }
}
