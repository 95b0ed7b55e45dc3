/** Are our bytes Roaring's bytes, both ways, and is damage named rather than read? */
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import roaring from 'roaring';
import {
  PortableFault,
  portableBytes,
  portableCount,
  portableFault,
  readPortable,
  writePortable,
} from '../../src/sets/portable.js';
import { seededRandom, type Random } from '../model/random.js';
import { roomAt } from './checked-sets.js';

const { RoaringBitmap32 } = roaring;

const roomsEnd = 2 ** 31;
const partitionRooms = 2 ** 25;
/** Around what we write, so that bytes written beyond the ends show. */
const frame = 0xa5;

/** So many of the first rooms of a container, spread over it. */
function inContainer(key: number, count: number): number[] {
  const step = Math.floor(65_536 / count);
  return Array.from({ length: count }, (_, index) => key * 65_536 + index * step);
}

/** Sets that stand on the borders of the format. */
const borderCases: [string, number[]][] = [
  ['nothing', []],
  ['the first room', [0]],
  ['the last room', [roomsEnd - 1]],
  ['both ends', [0, roomsEnd - 1]],
  ['two neighbours over a border of containers', [65_535, 65_536]],
  ['both ends of one container', [3 * 65_536, 3 * 65_536 + 65_535]],
  ...[1, 2, 4095, 4096, 4097, 5000, 65_535, 65_536].map((count): [string, number[]] => [
    `${count} in a container`,
    inContainer(7, count),
  ]),
  [
    'arrays and bits in turn',
    [1, 4097, 4096, 65_536, 1].flatMap((count, key) => inContainer(key * 3, count)),
  ],
  ['a room in each partition', Array.from({ length: 64 }, (_, partition) => partition * partitionRooms + 5)],
  ['a room in each of 32,768 containers', Array.from({ length: 32_768 }, (_, key) => key * 65_536 + key)],
];

/** Sets as users have them: some rooms over all partitions, some in few containers, some dense. */
const anySet: fc.Arbitrary<number[]> = fc
  .tuple(
    fc.uniqueArray(fc.nat({ max: 100_000 }), { maxLength: 200 }),
    fc.constantFrom(1, 64, 4096),
    fc.option(fc.tuple(fc.nat({ max: 32_767 }), fc.constantFrom(4095, 4096, 4097, 20_000))),
  )
  .map(([indices, spread, dense]) => {
    const rooms = indices.map((index) => (spread === 64 ? roomAt(index) : index * spread));
    if (dense !== null) rooms.push(...inContainer(...dense));
    return ascending(rooms);
  });

function ascending(rooms: Iterable<number>): number[] {
  return [...new Set(rooms)].sort((left, right) => left - right);
}

/** What the package makes of the rooms. */
function nativeBytes(rooms: readonly number[]): Uint8Array {
  const bitmap = new RoaringBitmap32(Uint32Array.from(rooms));
  const bytes = bitmap.serialize('portable');
  bitmap.dispose();
  return bytes;
}

/** Bytes at an odd place of a larger buffer, as a page of a store has them. */
function atOddPlace(bytes: Uint8Array): Uint8Array {
  const larger = new Uint8Array(bytes.length + 8).fill(frame);
  larger.set(bytes, 3);
  return larger.subarray(3);
}

/** What we make of the rooms, at a place in a larger buffer and out of one, neither of which is touched elsewhere. */
function written(rooms: readonly number[], offset = 3): Uint8Array {
  const words = Uint32Array.from([9, 9, ...rooms, 9]);
  const bytes = portableBytes(words, 2, rooms.length);
  const target = new Uint8Array(offset + bytes + 5).fill(frame);
  expect(writePortable(words, 2, rooms.length, target, offset)).toBe(offset + bytes);
  expect([...target.subarray(0, offset), ...target.subarray(offset + bytes)]).toEqual(
    new Array(offset + 5).fill(frame),
  );
  return target.subarray(offset, offset + bytes);
}

function readRange(bytes: Uint8Array, length: number, first: number, end: number): number[] {
  const count = portableCount(bytes, length);
  const target = new Uint32Array(count + 1).fill(77);
  const read = readPortable(bytes, length, first, end, target);
  expect(read).toBeLessThanOrEqual(count);
  expect(target[count]).toBe(77);
  return Array.from(target.subarray(0, read));
}

function expectAlike(rooms: number[]): void {
  const native = nativeBytes(rooms);
  const ours = written(rooms);
  expect(Buffer.compare(ours, native)).toBe(0);
  const placed = atOddPlace(native);
  expect(portableCount(placed, native.length)).toBe(rooms.length);
  expect(readRange(placed, native.length, 0, roomsEnd)).toEqual(rooms);
  expect(portableFault(placed, native.length)).toBeUndefined();
}

describe('against the native package', () => {
  test.each(borderCases)('%s', (_, rooms) => {
    expectAlike(rooms);
  });

  test('any set', () => {
    fc.assert(fc.property(anySet, expectAlike), { numRuns: 300 });
  });

  test.each([1, 2, 3])('large random sets, seed %i', (seed) => {
    const random = seededRandom(seed);
    for (const spread of [8192, 70_000, 2 ** 20, roomsEnd]) {
      expectAlike(ascending(Array.from({ length: 30_000 }, () => random(spread))));
    }
  });

  test('it reads ours', () => {
    for (const [, rooms] of borderCases) {
      const bitmap = RoaringBitmap32.deserialize(Buffer.from(written(rooms)), 'portable');
      expect(Array.from(bitmap.toUint32Array())).toEqual(rooms);
      bitmap.dispose();
    }
  });

  test('at each of eight places', () => {
    const rooms = [...inContainer(1, 5), ...inContainer(2, 4100), 3 * 65_536];
    for (let offset = 0; offset < 8; offset += 1)
      expect(Buffer.compare(written(rooms, offset), nativeBytes(rooms))).toBe(0);
  });
});

describe('a range of rooms', () => {
  test('is what lies in it, and ranges that meet are all of it', () => {
    const borders = fc.uniqueArray(fc.nat({ max: 64 }), { maxLength: 5 });
    fc.assert(
      fc.property(anySet, borders, (rooms, partitions) => {
        const bytes = nativeBytes(rooms);
        const ends = ascending([0, ...partitions, 64]).map((partition) => partition * partitionRooms);
        const parts = ends.slice(1).map((end, index) => readRange(bytes, bytes.length, ends[index], end));
        for (const [index, part] of parts.entries())
          expect(part).toEqual(rooms.filter((room) => room >= ends[index] && room < ends[index + 1]));
        expect(parts.flat()).toEqual(rooms);
      }),
      { numRuns: 200 },
    );
  });

  test('may be a single container, between two of bits', () => {
    const rooms = [4, 5, 6].flatMap((key) => inContainer(key, 5000));
    const bytes = nativeBytes(rooms);
    expect(readRange(bytes, bytes.length, 5 * 65_536, 6 * 65_536)).toEqual(inContainer(5, 5000));
    expect(readRange(bytes, bytes.length, 7 * 65_536, roomsEnd)).toEqual([]);
    expect(readRange(bytes, bytes.length, 5 * 65_536, 5 * 65_536)).toEqual([]);
  });

  test('that cuts a container is our own fault', () => {
    const bytes = nativeBytes([1]);
    const target = new Uint32Array(1);
    expect(() => readPortable(bytes, bytes.length, 0, 65_535, target)).toThrow(/range of rooms/);
    expect(() => readPortable(bytes, bytes.length, 1, 65_536, target)).toThrow(/range of rooms/);
  });

  test('for which the target is too small is our own fault, and so is a length beyond the bytes', () => {
    const bytes = nativeBytes([1, 2, 3]);
    expect(() => readPortable(bytes, bytes.length, 0, roomsEnd, new Uint32Array(2))).toThrow(/room for/);
    expect(() => portableCount(bytes, bytes.length + 1)).toThrow(/as many bytes/);
    expect(() => writePortable(Uint32Array.of(1), 0, 1, new Uint8Array(17), 0)).toThrow(/room for/);
  });
});

/** Bytes with a few of them changed, by name. */
function edited(rooms: number[], change: (bytes: Uint8Array) => Uint8Array | undefined): Uint8Array {
  const bytes = Uint8Array.from(nativeBytes(rooms));
  return change(bytes) ?? bytes;
}

/** Two containers of two: heads at 8 and 12, their offsets at 16 and 20, their values at 24 and 28. */
const small = [1, 2, 65_536 + 1, 65_536 + 2];
const dense = inContainer(0, 5000);

/** What is wrong, the bytes, what is said of it, and whether `readPortable` finds it as well. */
const damage: [string, Uint8Array, RegExp, boolean][] = [
  ['no bytes', new Uint8Array(0), /0 bytes are no set/, true],
  ['half a head', edited(small, (bytes) => bytes.subarray(0, 7)), /7 bytes are no set/, true],
  ['another cookie', edited(small, (bytes) => void (bytes[0] = 0x3b)), /begins with 12347/, true],
  [
    'containers of runs',
    edited([], () => {
      const runs = RoaringBitmap32.fromRange(0, 1000);
      runs.runOptimize();
      return Uint8Array.from(runs.serialize('portable'));
    }),
    /begins with 12347/,
    true,
  ],
  [
    'more containers than fit',
    edited(small, (bytes) => void (bytes[4] = 9)),
    /9 containers do not fit/,
    true,
  ],
  [
    'four thousand million containers',
    edited(small, (bytes) => void bytes.fill(0xff, 4, 8)),
    /4294967295 containers do not fit/,
    true,
  ],
  ['one container fewer', edited(small, (bytes) => void (bytes[4] = 1)), /promises 20 bytes/, true],
  [
    'a byte too few',
    edited(small, (bytes) => bytes.subarray(0, -1)),
    /promises 32 bytes, and there are 31/,
    true,
  ],
  ['a byte too many', edited(small, (bytes) => Uint8Array.from([...bytes, 0])), /there are 33/, true],
  ['a count that is higher', edited(small, (bytes) => void (bytes[14] = 9)), /promises 48 bytes/, true],
  [
    'a container of bits that are not there',
    edited(small, (bytes) => void bytes.fill(0xff, 14, 16)),
    /promises 8220 bytes/,
    true,
  ],
  ['the same container twice', edited(small, (bytes) => void (bytes[12] = 0)), /0 follows on 0/, true],
  [
    'a container before the last',
    edited(small, (bytes) => void (bytes[8] = 2)),
    /container 1 follows on 2/,
    true,
  ],
  [
    'a container above the rooms',
    edited(small, (bytes) => void (bytes[13] = 0x80)),
    /container 32769 is above every room/,
    true,
  ],
  [
    'bits fewer than the count',
    edited(dense, (bytes) => void bytes.fill(0, 100, 200)),
    /container 0 holds \d+, not 5000/,
    true,
  ],
  [
    'bits more than the count',
    edited(dense, (bytes) => void bytes.fill(0xff, 100, 9000)),
    /container 0 holds \d+, not 5000/,
    true,
  ],
  [
    'an offset elsewhere',
    edited(small, (bytes) => void (bytes[20] = 27)),
    /container 1 is said to begin at 27, not 28/,
    false,
  ],
  [
    'values that descend',
    edited(small, (bytes) => void (bytes[28] = 3)),
    /container 1: 2 follows on 3/,
    false,
  ],
  ['a value twice', edited(small, (bytes) => void (bytes[24] = 2)), /container 0: 2 follows on 2/, false],
];

describe('damage', () => {
  test.each(damage)('%s', (_, bytes, reason, isFoundReading) => {
    for (const placed of [bytes, atOddPlace(bytes)]) {
      const { length } = bytes;
      expect(portableFault(placed, length)).toMatch(reason);
      const read = (): number => readPortable(placed, length, 0, roomsEnd, new Uint32Array(100_000));
      if (isFoundReading) expect(read).toThrow(PortableFault);
      else expect(read).not.toThrow();
    }
  });

  test('is found also when it is in what a shard passes over', () => {
    const shard = (bytes: Uint8Array): number =>
      readPortable(bytes, bytes.length, 65_536, 2 * 65_536, new Uint32Array(100_000));
    expect(shard(Uint8Array.from(nativeBytes(small)))).toBe(2);
    // The values of other containers are not looked at, only their heads.
    const heads = damage.filter(([name, , , isFoundReading]) => isFoundReading && !name.startsWith('bits '));
    expect(heads.length).toBeGreaterThan(10);
    for (const [name, bytes] of heads) expect(() => shard(bytes), name).toThrow(PortableFault);
  });

  test('every length but the right one is a fault', () => {
    const bytes = nativeBytes([...small, ...inContainer(9, 300)]);
    const longer = Uint8Array.from([...bytes, ...new Uint8Array(40)]);
    for (let length = 0; length <= longer.length; length += 1) {
      if (length === bytes.length) continue;
      expect(() => portableCount(longer, length)).toThrow(PortableFault);
      expect(() => readPortable(longer, length, 0, roomsEnd, new Uint32Array(1000))).toThrow(PortableFault);
      expect(portableFault(longer, length)).toBeDefined();
    }
  });

  /** What the changed bytes are, said in one word; throws for what must not be. */
  function judge(bytes: Uint8Array): 'same' | 'fault' | 'found late' | 'another set' {
    const { length } = bytes;
    const fault = portableFault(bytes, length);
    let read: number[];
    try {
      read = readRange(bytes, length, 0, roomsEnd);
    } catch (error) {
      if (!(error instanceof PortableFault)) throw error;
      expect(fault, 'what cannot be read has a fault').toBeDefined();
      return 'fault';
    }
    if (fault !== undefined) return 'found late';
    // Without a fault it is a set, and written down again it is the same bytes: nothing in them went unseen.
    expect(Buffer.compare(written(read), bytes)).toBe(0);
    expect(Buffer.compare(nativeBytes(read), bytes)).toBe(0);
    return 'another set';
  }

  function mutate(bytes: Uint8Array, random: Random): Uint8Array {
    const changed = Uint8Array.from(bytes);
    // The head is where it hurts, so half of the changes are there.
    const at = (): number => random(random(2) === 0 ? Math.min(changed.length, 64) : changed.length);
    for (let times = 1 + random(3); times > 0; times -= 1) {
      const place = at();
      const kind = random(4);
      if (kind === 0) changed[place] ^= 1 << random(8);
      else if (kind === 1) changed[place] = random(256);
      else if (kind === 2) changed.fill(random(2) * 255, place, place + random(9));
      else changed.copyWithin(place, at(), at());
    }
    if (random(6) === 0) return changed.subarray(0, random(changed.length + 1));
    return random(12) === 0 ? Uint8Array.from([...changed, ...new Uint8Array(1 + random(9))]) : changed;
  }

  test('20,000 changes of bytes: each is a fault or another set, to the last byte', () => {
    const random = seededRandom(20_000);
    const sets = [
      [],
      [5],
      small,
      inContainer(3, 40),
      borderCases.find(([name]) => name === 'a room in each partition')![1],
      [...inContainer(1, 4096), ...inContainer(2, 10)],
      [...inContainer(1, 4097), ...inContainer(40, 3)],
    ].map((rooms) => nativeBytes(rooms));
    const verdicts = { same: 0, fault: 0, 'found late': 0, 'another set': 0 };
    for (let round = 0; round < 20_000; round += 1) {
      const bytes = sets[round % sets.length];
      const changed = mutate(bytes, random);
      verdicts[Buffer.compare(bytes, changed) === 0 ? 'same' : judge(changed)] += 1;
    }
    // The changes are of all kinds.
    expect(verdicts.fault).toBeGreaterThan(5000);
    expect(verdicts['found late']).toBeGreaterThan(1000);
    expect(verdicts['another set']).toBeGreaterThan(1000);
  });

  test('random bytes behind a right cookie', () => {
    fc.assert(
      fc.property(fc.uint8Array({ maxLength: 100 }), fc.nat({ max: 8 }), (random, containers) => {
        judge(Uint8Array.from([0x3a, 0x30, 0, 0, containers, 0, 0, 0, ...random]));
      }),
      { numRuns: 3000 },
    );
  });
});
