/**
 * Goes over the whole state of a store, user by user in ascending order: the room sets with the recent changes laid over
 * them, as of one commit. For whoever writes all of it down anew (export, compaction).
 *
 * Cost: the recent changes in memory (32 MB, by default, at most), and one user's rooms.
 */
import { partitionCount, roomNoEnd } from '../base/ids.js';
import { portableCount, readPortable } from '../sets/portable.js';
import { userCountAt } from '../directory/name-counts.js';
import { partKeyBytes, partsMarkBytes, writePartKey } from './layout.js';
import type { Environment, Scan, Snapshot, Table } from './lmdb.js';
import { mergeChanges } from './merge-changes.js';
import { readNameCounts } from './name-blocks.js';
import { readRecent } from './read-recent.js';
import { RecentChanges, type SortedChanges } from './recent-changes.js';

const roomsEnd = roomNoEnd + 1;

export class StateReader {
  /** The user that `next` came to, and the rooms: the first `count`, ascending. Valid until it is called again. */
  user = 0;
  rooms = new Uint32Array(1024);
  count = 0;
  readonly #parts: Table<Uint8Array>;
  readonly #snapshot: Snapshot;
  readonly #scan: Scan<number>;
  readonly #recent: RecentChanges;
  readonly #partKey = new Uint8Array(partKeyBytes);
  #merged = new Uint32Array(1024);
  /** What the scan came to and has not been taken yet: the user, and a copy of the record, since others read meanwhile. */
  #scanned: number | undefined;
  #record = new Uint8Array(4096);
  #recordLength = 0;
  #bucket = -1;
  #sorted: SortedChanges = { users: new Uint32Array(0), words: new Uint32Array(0) };
  /** Of the sorted changes, the first that has not been taken yet. */
  #at = 0;

  constructor(environment: Environment, snapshot: Snapshot) {
    this.#parts = environment.parts;
    this.#snapshot = snapshot;
    this.#recent = new RecentChanges(readNameCounts(environment, snapshot)[userCountAt]);
    for (const { changes } of readRecent(environment, snapshot)) this.#recent.add(changes);
    this.#scan = environment.users.scan({}, snapshot);
    this.#findRecord();
    this.#findChanges();
  }

  /** Goes to the next user who has rooms. @returns whether there is one */
  next(): boolean {
    for (;;) {
      const changed = this.#sorted.users.length > this.#at ? this.#sorted.users[this.#at] : undefined;
      if (this.#scanned === undefined && changed === undefined) return false;
      this.user = Math.min(this.#scanned ?? Infinity, changed ?? Infinity);
      this.count = 0;
      if (this.#scanned === this.user) this.#takeRecord();
      if (changed === this.user) this.#takeChanges();
      if (this.count > 0) return true;
    }
  }

  /** Ends the reading early. */
  close(): void {
    this.#scan.close();
  }

  #takeRecord(): void {
    if (this.#recordLength === partsMarkBytes) {
      for (let partition = 0; partition < partitionCount; partition += 1) {
        writePartKey(this.#partKey, this.user, partition);
        if (this.#parts.get(this.#partKey, this.#snapshot)) this.#read(this.#parts.bytes, this.#parts.length);
      }
    } else this.#read(this.#record, this.#recordLength);
    this.#findRecord();
  }

  #findRecord(): void {
    this.#scanned = this.#scan.next();
    if (this.#scanned === undefined) return;
    const { bytes, length } = this.#scan;
    if (length > this.#record.length) this.#record = new Uint8Array(length * 2);
    this.#record.set(bytes.subarray(0, length));
    this.#recordLength = length;
  }

  #read(bytes: Uint8Array, length: number): void {
    const end = this.count + portableCount(bytes, length);
    if (end > this.rooms.length) {
      const larger = new Uint32Array(end * 2);
      larger.set(this.rooms);
      this.rooms = larger;
    }
    readPortable(bytes, length, 0, roomsEnd, this.rooms.subarray(this.count));
    this.count = end;
  }

  #takeChanges(): void {
    const { users, words } = this.#sorted;
    let end = this.#at + 1;
    while (end < users.length && users[end] === this.user) end += 1;
    const most = this.count + end - this.#at;
    if (most > this.#merged.length) this.#merged = new Uint32Array(most * 2);
    const count = mergeChanges(this.rooms, this.count, words, this.#at, end, this.#merged);
    if (count !== -1) {
      [this.rooms, this.#merged] = [this.#merged, this.rooms];
      this.count = count;
    }
    this.#at = end;
    if (end === users.length) this.#findChanges();
  }

  /** Goes to the next bucket that has changes. */
  #findChanges(): void {
    this.#at = 0;
    do {
      if (this.#bucket >= 0) this.#recent.drop(this.#bucket);
      this.#bucket += 1;
      if (this.#bucket >= this.#recent.bucketCount) {
        this.#sorted = { users: new Uint32Array(0), words: new Uint32Array(0) };
        return;
      }
      this.#sorted = this.#recent.sorted(this.#bucket);
    } while (this.#sorted.users.length === 0);
  }
}
