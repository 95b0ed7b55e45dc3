/**
 * What does it cost to write room sets down and to read them back, in the portable form and in TypeScript, against the
 * native package? And what does a start cost: a user's rooms and a name?
 *
 * How to read it: each is so many times slower or faster than the first column. Sets lie one behind the other, as on the pages
 * of a store, so most begin at no whole word. The native package reads to a bitmap and from it to words, which is the
 * only way from its bytes to ours.
 */
import roaring from 'roaring';
import type { RoomNo, UserNo } from '#dist/base/ids';
import { wordsOf } from '#dist/directory/encoder';
import { userInterner } from '#dist/directory/interner';
import { nameBytesMax } from '#dist/base/limits';
import { portableBytes, portableCount, readPortable, writePortable } from '#dist/sets/portable';
import { DenseHandles, SparseHandles, type Handles } from '#dist/shard/handles';
import { Membership } from '#dist/shard/membership';
import { pairsOf } from './data/room-pairs.js';
import { compare, printTable, ratioCells, type Contestant, type RunOptions } from './harness.js';
import { noteTimings } from './verdict.js';

const { RoaringBitmap32 } = roaring;

const roomsEnd = 2 ** 31;
const sizes = [1, 10, 100, 2000];

/** Depends on how many there are and on the last: little work, and wrong answers show. */
function digest(count: number, last: number): number {
  return (Math.imul(count, 31) + last) | 0;
}

/** Sets of so many rooms, in words and in portable form. */
class Sets {
  readonly rooms: Uint32Array[];
  readonly bytes: Buffer;
  readonly views: Buffer[];

  constructor(count: number, size: number) {
    this.rooms = pairsOf(count, size, size).map(({ left }) => left);
    const ends = [1];
    for (const rooms of this.rooms) ends.push(ends[ends.length - 1] + portableBytes(rooms, 0, rooms.length));
    this.bytes = Buffer.alloc(ends[ends.length - 1]);
    this.views = this.rooms.map((rooms, index) => {
      writePortable(rooms, 0, rooms.length, this.bytes, ends[index]);
      return this.bytes.subarray(ends[index], ends[index + 1]);
    });
  }
}

function readCells(size: number, timeMs: number): string[] {
  const { views } = new Sets(setCountFor(size), size);
  const target = new Uint32Array(size);
  const ours = {
    name: 'our own code',
    run: () => {
      let sum = 0;
      for (const view of views) {
        const count = portableCount(view, view.length);
        if (readPortable(view, view.length, 0, roomsEnd, target) !== count) return -1;
        sum = (sum + digest(count, target[count - 1])) | 0;
      }
      return sum;
    },
  };
  const native = {
    name: 'the native package',
    run: () => {
      let sum = 0;
      for (const view of views) {
        const bitmap = RoaringBitmap32.deserialize(view, 'portable');
        const rooms = bitmap.toUint32Array();
        bitmap.dispose();
        sum = (sum + digest(rooms.length, rooms[rooms.length - 1])) | 0;
      }
      return sum;
    },
  };
  const comparison = compare([ours, native], views.length, timeMs);
  noteTimings(`reading a stored set of ${size}`, comparison.timings);
  return ratioCells(comparison);
}

function writeCells(size: number, timeMs: number): string[] {
  const { rooms, bytes } = new Sets(setCountFor(size), size);
  const target = new Uint8Array(bytes.length);
  const ours = {
    name: 'our own code',
    run: () => {
      let sum = 0;
      for (const set of rooms) {
        const length = portableBytes(set, 0, set.length);
        writePortable(set, 0, set.length, target, 0);
        sum = (sum + digest(length, target[length - 1])) | 0;
      }
      return sum;
    },
  };
  const native = {
    name: 'the native package',
    run: () => {
      let sum = 0;
      for (const set of rooms) {
        const bitmap = new RoaringBitmap32(set);
        const serialized = bitmap.serialize('portable');
        bitmap.dispose();
        sum = (sum + digest(serialized.length, serialized[serialized.length - 1])) | 0;
      }
      return sum;
    },
  };
  const comparison = compare([ours, native], rooms.length, timeMs);
  noteTimings(`writing a set of ${size} down`, comparison.timings);
  return ratioCells(comparison);
}

/** So few that the sets stay in the cache, as what a store has just handed over is, and too many to be learnt by heart. */
function setCountFor(size: number): number {
  return Math.max(50, Math.min(2000, Math.floor(100_000 / size)));
}

/**
 * Users of ten rooms each, read into a shard: all of them, or the sixteen partitions of one of four shards.
 * @returns the time a user, and what one room after the other takes
 */
function restoreCells(users: number, endRoom: number, handles: () => Handles, timeMs: number): string[] {
  // So many different sets: each user has one of them, and no two neighbours the same.
  const { views } = new Sets(Math.min(users, 10_000), 10);
  const target = new Uint32Array(10);
  const restored = {
    name: 'restore',
    run: () => {
      const membership = new Membership(handles());
      for (let user = 0; user < users; user += 1) {
        const view = views[user % views.length];
        portableCount(view, view.length);
        const count = readPortable(view, view.length, 0, endRoom, target);
        if (count > 0) membership.restore(user as UserNo, target, count);
      }
      return membership.count;
    },
  };
  const oneByOne = {
    name: 'set',
    run: () => {
      const membership = new Membership(handles());
      for (let user = 0; user < users; user += 1) {
        const view = views[user % views.length];
        const count = readPortable(view, view.length, 0, endRoom, target);
        for (let index = 0; index < count; index += 1)
          membership.set(user as UserNo, target[index] as RoomNo, true);
      }
      return membership.count;
    },
  };
  return ratioCells(compare([restored, oneByOne], users, timeMs));
}

/** Names as a store has them: in blocks of 32, each of which begins at a whole word. */
class StoredNames {
  readonly count: number;
  readonly #words: Uint32Array;
  readonly #ends: number[] = [];

  constructor(count: number) {
    this.count = count;
    const longest = wordsOf(this.nameAt(count).length);
    this.#words = new Uint32Array(count * longest);
    const bytes = Buffer.from(this.#words.buffer);
    let end = 0;
    for (let index = 0; index < count; index += 1) {
      const name = Buffer.from(this.nameAt(index));
      bytes.writeUInt16LE(name.length, end * 4);
      name.copy(bytes, end * 4 + 2);
      end += wordsOf(name.length);
      if (index % 32 === 31 || index === count - 1) this.#ends.push(end);
    }
  }

  /** A new string each time, as a request brings it. */
  nameAt(index: number): string {
    return `@user${index + 1_000_000}:example.org.uk`;
  }

  /** @param block has room for 32 names and one word more */
  restoreInto(users: ReturnType<typeof userInterner>, block: Uint32Array): void {
    let start = 0;
    for (const end of this.#ends) {
      for (let at = start; at < end; at += 1) block[at - start] = this.#words[at];
      users.restore(0, block, end - start);
      start = end;
    }
  }
}

/** A fixed key: the table is laid out alike in each run. */
const fixedKey = (size: number): Buffer => Buffer.alloc(size, 0x5a);

function nameCells(count: number, timeMs: number): string[] {
  const stored = new StoredNames(count);
  const block = new Uint32Array(32 * wordsOf(nameBytesMax) + 1);
  const restore = (reserved: number): number => {
    const users = userInterner(fixedKey);
    users.reserve(reserved);
    stored.restoreInto(users, block);
    return digest(users.count, users.find(stored.nameAt(count >>> 1)));
  };
  let names: string[] = [];
  const contestants: Contestant[] = [
    { name: 'restore', run: () => restore(count) },
    { name: 'without reserve', run: () => restore(0) },
    {
      name: 'intern',
      before: () => {
        names = Array.from({ length: count }, (_, index) => stored.nameAt(index));
      },
      run: () => {
        const users = userInterner(fixedKey);
        for (const name of names) users.intern(name);
        return digest(users.count, users.find(stored.nameAt(count >>> 1)));
      },
    },
  ];
  return ratioCells(compare(contestants, count, timeMs));
}

export function run({ smoke }: RunOptions): void {
  const timeMs = smoke ? 5 : 200;
  const label = (count: number): string => count.toLocaleString('en-US');
  const sizesRun = smoke ? [1, 100] : sizes;
  const header = ['rooms', 'portable.ts', 'roaring', 'checksum'];
  printTable(
    'Read a set to words',
    header,
    sizesRun.map((size) => [label(size), ...readCells(size, timeMs)]),
  );
  printTable(
    'Write words down as a set',
    header,
    sizesRun.map((size) => [label(size), ...writeCells(size, timeMs)]),
  );
  const users = smoke ? 1000 : 1_000_000;
  printTable(
    `Read and restore each of ${label(users)} users with 10 rooms`,
    ['of', 'restore', 'set', 'checksum'],
    [
      ['all rooms', ...restoreCells(users, roomsEnd, () => new DenseHandles(), timeMs)],
      ['a quarter of the rooms', ...restoreCells(users, roomsEnd / 4, () => new SparseHandles(), timeMs)],
    ],
  );
  const names = smoke ? 1000 : 1_000_000;
  printTable(
    'Restore each of so many names',
    ['names', 'restore', 'without reserve', 'intern', 'checksum'],
    [[label(names), ...nameCells(names, timeMs)]],
  );
}
