/**
 * Reads the room sets of a range of partitions: all records, and the recent changes behind them, as of one commit. What a
 * shard begins with. Goes in steps, for those who must answer meanwhile.
 *
 * Rooms of other partitions are passed over by the headers of Roaring's containers, so each of several shards reads all
 * records but only its rooms.
 */
import {
  firstRoomOf,
  partitionCount,
  partitionOf,
  roomNoEnd,
  sequenceBits,
  type PartitionRange,
  type RoomNo,
  type UserNo,
} from '../base/ids.js';
import { portableCount, readPortable } from '../sets/portable.js';
import { partKeyBytes, partsMarkBytes, userOfPartKey, writePartKey } from './layout.js';
import { Environment, type Scan, type Snapshot } from './lmdb.js';
import { wordsOf } from './words.js';

const sequenceMask = 2 ** sequenceBits - 1;

/** What takes in what is read. */
export interface RoomSetSink {
  /** The user has these rooms too: `count` of them, ascending, above those of earlier calls for this user. */
  restore(user: UserNo, rooms: Uint32Array, count: number): void;
  /** As shard/wire.ts lays changes out. */
  apply(changes: Uint32Array): void;
}

/** What a shard has taken in. */
export interface LoadedSets {
  /** Who has rooms there: bit u of word u/32 is the user u. */
  readonly users: Uint32Array;
  /** How many rooms of its partitions have members. */
  readonly rooms: number;
}

export class RoomSetLoad {
  readonly #environment: Environment;
  readonly #snapshot: Snapshot;
  readonly #partitions: PartitionRange;
  readonly #sink: RoomSetSink;
  readonly #firstRoom: number;
  readonly #roomsEnd: number;
  #rooms = new Uint32Array(1024);
  /** Rooms that have been seen, of the partitions by sequence: bit s of word s/32. */
  readonly #seen: Uint32Array[];
  /** How many have. */
  roomsSeen = 0;
  /** What is left to read, in order. */
  readonly #scans: { scan: Scan<unknown>; take: (key: never) => void }[];
  /** Records that have been read. */
  done = 0;
  readonly total: number;

  constructor(path: string, partitions: PartitionRange, sink: RoomSetSink) {
    this.#environment = new Environment({ path, readOnly: true });
    this.#snapshot = this.#environment.snapshot();
    this.#partitions = partitions;
    this.#sink = sink;
    this.#firstRoom = firstRoomOf(partitions.first);
    this.#roomsEnd = partitions.end === partitionCount ? roomNoEnd + 1 : firstRoomOf(partitions.end);
    const { users, parts, recent } = this.#environment;
    this.total = users.count + parts.count + recent.count;
    this.#seen = Array.from({ length: partitionCount }, () => new Uint32Array(0));
    const userScan = users.scan({}, this.#snapshot);
    const partScan = parts.scan(this.#partRange(), this.#snapshot);
    const recentScan = recent.scan({}, this.#snapshot);
    this.#scans = [
      { scan: userScan, take: (user: number) => this.#takeUser(user as UserNo, userScan) },
      { scan: partScan, take: (key: Uint8Array) => this.#restore(userOfPartKey(key) as UserNo, partScan) },
      { scan: recentScan, take: () => this.#takeRecent(recentScan) },
    ];
  }

  /** Reads about so many records. @returns whether there are more */
  step(recordsMax: number): boolean {
    let read = 0;
    while (this.#scans.length > 0) {
      const { scan, take } = this.#scans[0];
      for (; read < recordsMax; read += 1) {
        const key = scan.next();
        if (key === undefined) break;
        take(key as never);
      }
      if (read === recordsMax) break;
      this.#scans.shift();
    }
    this.done += read;
    return this.#scans.length > 0;
  }

  async close(): Promise<void> {
    for (const { scan } of this.#scans) scan.close();
    this.#snapshot.done();
    await this.#environment.close();
  }

  #takeUser(user: UserNo, scan: Scan<number>): void {
    if (scan.length !== partsMarkBytes) this.#restore(user, scan);
  }

  #restore(user: UserNo, { bytes, length }: Scan<number> | Scan<Uint8Array>): void {
    const countMax = portableCount(bytes, length);
    if (countMax > this.#rooms.length) this.#rooms = new Uint32Array(countMax * 2);
    const count = readPortable(bytes, length, this.#firstRoom, this.#roomsEnd, this.#rooms);
    if (count === 0) return;
    for (let index = 0; index < count; index += 1) this.#see(this.#rooms[index]);
    this.#sink.restore(user, this.#rooms, count);
  }

  #see(room: number): void {
    const partition = room >>> sequenceBits;
    const sequence = room & sequenceMask;
    let seen = this.#seen[partition];
    if (sequence >>> 5 >= seen.length) {
      seen = new Uint32Array(Math.max(64, (sequence >>> 5) * 2));
      seen.set(this.#seen[partition]);
      this.#seen[partition] = seen;
    }
    const bit = 1 << (sequence & 31);
    if ((seen[sequence >>> 5] & bit) !== 0) return;
    seen[sequence >>> 5] |= bit;
    this.roomsSeen += 1;
  }

  #takeRecent({ bytes, length }: Scan<number>): void {
    const words = wordsOf(bytes, length);
    const { first, end } = this.#partitions;
    let kept = 0;
    for (let at = 0; at < words.length; at += 2) {
      const partition = partitionOf((words[at + 1] >>> 1) as RoomNo);
      if (partition < first || partition >= end) continue;
      if ((words[at + 1] & 1) === 1) this.#see(words[at + 1] >>> 1);
      words[kept++] = words[at];
      words[kept++] = words[at + 1];
    }
    this.#sink.apply(words.subarray(0, kept));
  }

  #partRange(): { start?: Uint8Array; end?: Uint8Array } {
    const keyAt = (partition: number): Uint8Array => {
      const key = new Uint8Array(partKeyBytes);
      writePartKey(key, partition, 0);
      return key;
    };
    const { first, end } = this.#partitions;
    return { start: keyAt(first), ...(end < partitionCount && { end: keyAt(end) }) };
  }
}
