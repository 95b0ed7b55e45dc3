/**
 * Reads what a shard begins with: the room sets of a range of partitions and the recent changes, as of one commit. It goes in
 * steps, so that the thread can answer meanwhile.
 *
 * Rooms of other partitions are passed over by the headers of Roaring's containers, so each of several shards reads all
 * records but only its rooms.
 */
import { PublicError } from '../base/errors.js';
import {
  firstRoomOf,
  partitionCount,
  partitionOf,
  roomNoEnd,
  sequenceBits,
  type PartitionRange,
  type UserNo,
} from '../base/ids.js';
import { roomOf, userAt, wordAt, wordsPerChange } from '../log/changes.js';
import { portableCount, readPortable } from '../sets/portable.js';
import { userCountAt } from '../directory/name-counts.js';
import { partitionOfPartKey, partsMarkBytes, userOfPartKey } from './layout.js';
import { Environment, type Scan, type Snapshot } from './lmdb.js';
import { readNameCounts } from './name-blocks.js';
import { lastCommit, recentFault } from './read-recent.js';
import { wordsOf } from './words.js';

const sequenceMask = 2 ** sequenceBits - 1;

/** What takes in what is read. */
export interface RoomSetSink {
  /** The user has these rooms, `count` of them, ascending. Of each user once. */
  restore(user: UserNo, rooms: Uint32Array, count: number): void;
  /** As log/changes.ts lays them out. */
  apply(changes: Uint32Array): void;
}

/** What a shard has taken in. */
export interface LoadedSets {
  /** Who has rooms there: bit u of word u/32 is the user u. */
  readonly users: Uint32Array;
  /** How many rooms of its partitions have members. */
  readonly rooms: number;
  /** The last commit that is in it. */
  readonly last: number;
}

/** What the file must still be: its numbers mean something else when it was compacted or taken over by another process. */
export interface StoredState {
  readonly epoch: number;
  /** Of the owner; undefined where the store is only read. */
  readonly instance: string | undefined;
}

export class RoomSetLoad {
  readonly #environment: Environment;
  readonly #snapshot: Snapshot;
  readonly #partitions: PartitionRange;
  readonly #sink: RoomSetSink;
  readonly #firstRoom: number;
  readonly #roomsEnd: number;
  /** How many names there are. */
  readonly #counts: Uint32Array;
  /** The user whose records are being read, and the rooms so far: the first `#count`. */
  #user = 0;
  #rooms = new Uint32Array(1024);
  #count = 0;
  /** What is left to read, in order. */
  readonly #tables: { scan: Scan<unknown>; take: (key: never) => void }[];
  /** Records that have been read. */
  done = 0;
  readonly total: number;
  /** The last commit of what is read. */
  readonly last: number;

  /** @throws PublicError UNAVAILABLE when the file is not in the expected state any more */
  constructor(path: string, partitions: PartitionRange, sink: RoomSetSink, expected?: StoredState) {
    this.#environment = new Environment({ path, readOnly: true });
    this.#snapshot = this.#environment.snapshot();
    this.#partitions = partitions;
    this.#sink = sink;
    this.#firstRoom = firstRoomOf(partitions.first);
    this.#roomsEnd = partitions.end === partitionCount ? roomNoEnd + 1 : firstRoomOf(partitions.end);
    try {
      if (expected !== undefined) this.#checkState(expected);
      this.#counts = readNameCounts(this.#environment, this.#snapshot);
      this.last = lastCommit(this.#environment, this.#snapshot);
      const { users, parts, recent } = this.#environment;
      this.total = users.count + parts.count + recent.count;
      const userScan = users.scan({}, this.#snapshot);
      const partScan = parts.scan({}, this.#snapshot);
      const recentScan = recent.scan({}, this.#snapshot);
      this.#tables = [
        { scan: userScan, take: (user: UserNo) => this.#takeUser(user, userScan) },
        { scan: partScan, take: (key: Uint8Array) => this.#takePart(key, partScan) },
        { scan: recentScan, take: () => this.#takeRecent(recentScan) },
      ];
    } catch (error) {
      this.#snapshot.done();
      void this.#environment.close();
      throw error;
    }
  }

  #checkState({ epoch, instance }: StoredState): void {
    const identity = this.#environment.getMeta('identity', this.#snapshot);
    const owner = this.#environment.getMeta('owner', this.#snapshot);
    if (identity?.epoch === epoch && (instance === undefined || owner?.instance === instance)) return;
    throw new PublicError(
      'UNAVAILABLE',
      `${this.#environment.path} is another server's by now, or was compacted: start this one anew`,
    );
  }

  /** Reads about so many records. @returns whether there are more */
  step(recordsMax: number): boolean {
    let read = 0;
    while (this.#tables.length > 0) {
      const { scan, take } = this.#tables[0];
      for (; read < recordsMax; read += 1) {
        const key = scan.next();
        if (key === undefined) break;
        take(key as never);
      }
      if (read === recordsMax) break;
      this.#restore();
      this.#tables.shift();
    }
    this.done += read;
    return this.#tables.length > 0;
  }

  async close(): Promise<void> {
    for (const { scan } of this.#tables) scan.close();
    this.#snapshot.done();
    await this.#environment.close();
  }

  #takeUser(user: UserNo, scan: Scan<number>): void {
    this.#user = user;
    if (user < 1 || user > this.#counts[userCountAt]) throw this.#damaged();
    if (scan.length === partsMarkBytes) return;
    this.#read(scan);
    this.#restore();
  }

  /** The parts of a user come one behind the other, in the order of the rooms. */
  #takePart(key: Uint8Array, scan: Scan<Uint8Array>): void {
    const user = userOfPartKey(key);
    if (user !== this.#user) this.#restore();
    this.#user = user;
    const partition = partitionOfPartKey(key);
    if (partition >= this.#partitions.first && partition < this.#partitions.end) this.#read(scan);
  }

  #read({ bytes, length }: Scan<number> | Scan<Uint8Array>): void {
    const end = this.#count + portableCount(bytes, length);
    if (end > this.#rooms.length) {
      const larger = new Uint32Array(end * 2);
      larger.set(this.#rooms.subarray(0, this.#count));
      this.#rooms = larger;
    }
    const target = this.#count === 0 ? this.#rooms : this.#rooms.subarray(this.#count);
    this.#count += readPortable(bytes, length, this.#firstRoom, this.#roomsEnd, target);
  }

  #restore(): void {
    const count = this.#count;
    if (count === 0) return;
    this.#count = 0;
    let previous = -1;
    for (let index = 0; index < count; index += 1) {
      const room = this.#rooms[index];
      if (room <= previous) throw this.#damaged();
      previous = room;
      this.#checkName(room);
    }
    this.#sink.restore(this.#user as UserNo, this.#rooms, count);
  }

  /** A room without a name cannot be put into an answer, so a store that has one is not loaded. */
  #damaged(what = `the rooms of user ${this.#user}`): PublicError {
    return new PublicError(
      'DAMAGED',
      `${what} are damaged: "mutual-rooms verify" says more; put a backup in place of ${this.#environment.path}`,
    );
  }

  #checkName(room: number): void {
    if ((room & sequenceMask) >= this.#counts[room >>> sequenceBits]) throw this.#damaged();
  }

  #takeRecent({ bytes, length }: Scan<number>): void {
    const words = wordsOf(bytes, length);
    if (recentFault(words, length, this.#counts) !== undefined) throw this.#damaged('the recent changes');
    const { first, end } = this.#partitions;
    let kept = 0;
    for (let at = 0; at < words.length; at += wordsPerChange) {
      const word = wordAt(words, at);
      const partition = partitionOf(roomOf(word));
      if (partition < first || partition >= end) continue;
      words[kept++] = userAt(words, at);
      words[kept++] = word;
    }
    this.#sink.apply(words.subarray(0, kept));
  }
}
