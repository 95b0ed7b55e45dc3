/** Is a page the page, the total the total, and yes yes: for every pair of forms, every path and every border? */
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { roomsPerPageMax, usersPerQuestionMax } from '../../src/base/limits.js';
import { Intersection } from '../../src/sets/intersection.js';
import { RoomSets, emptySet } from '../../src/sets/room-sets.js';
import { gallopRatio, packedCountMax, packedCountMin, probeCountMax } from '../../src/sets/thresholds.js';
import { seededRandom, type Random } from '../model/random.js';
import { membersOf, roomAt, setOf } from './checked-sets.js';

function drawn(count: number, roomEnd: number, random: Random): Set<number> {
  const rooms = new Set<number>();
  while (rooms.size < count) rooms.add(roomAt(random(roomEnd)));
  return rooms;
}

/** A set of these members in the form wished for, where the count allows both. */
function setInForm(sets: RoomSets, rooms: Set<number>, asBitmap: boolean, roomEnd: number): number {
  if (!asBitmap || rooms.size > packedCountMax || rooms.size < packedCountMin) return setOf(sets, rooms);
  // Grown past the border, then shrunk: a bitmap stays one down to `packedCountMin`.
  const extra: number[] = [];
  for (let index = roomEnd; rooms.size + extra.length <= packedCountMax; index += 1)
    extra.push(roomAt(index));
  let handle = setOf(sets, [...rooms, ...extra]);
  for (const room of extra) handle = sets.remove(handle, room);
  expect(sets.isBitmap(handle)).toBe(true);
  return handle;
}

interface Expected {
  count: number;
  beyond: number;
  rooms: number[];
}

function naive(oracles: readonly Set<number>[], start: number, limit: number): Expected {
  const [first, ...others] = oracles;
  const common = [...first].filter((room) => others.every((rooms) => rooms.has(room))).sort((a, b) => a - b);
  const beyond = common.filter((room) => room >= start);
  return { count: common.length, beyond: beyond.length, rooms: beyond.slice(0, limit) };
}

function answerOf(intersection: Intersection): Expected {
  const { count, beyond, rooms, taken } = intersection;
  return { count, beyond, rooms: Array.from(rooms.subarray(0, taken)) };
}

/** More rooms than the largest set here holds. */
const roomEnd = packedCountMax + 700;

const sizes = [
  ...[0, 1, 2, 3, 10, 63, 64, 65],
  ...[probeCountMax - 1, probeCountMax, probeCountMax + 1],
  ...[packedCountMin - 1, packedCountMin, packedCountMin + 1],
  ...[packedCountMax - 1, packedCountMax, packedCountMax + 1, packedCountMax + 300],
];

const shape = fc.record({ size: fc.constantFrom(...sizes), asBitmap: fc.boolean() });

/** A position: below all rooms, above all, or the index of a common room, hit exactly or by one more or less. */
const position = fc.record({
  at: fc.double({ min: 0, max: 1, noNaN: true }),
  shift: fc.constantFrom(-1, 0, 1),
});

function startOf(oracles: readonly Set<number>[], { at, shift }: { at: number; shift: number }): number {
  const { rooms } = naive(oracles, 0, Infinity);
  const room = rooms[Math.floor(at * rooms.length)] ?? Math.floor(at * 2 ** 31);
  return Math.max(0, room + shift);
}

const limit = fc.oneof(fc.constantFrom(0, 1, 2, 100, roomsPerPageMax), fc.nat({ max: 400 }));

test('one to five sets, from any position on, up to any limit', () => {
  fc.assert(
    fc.property(
      fc.array(shape, { minLength: 1, maxLength: 5 }),
      fc.constantFrom(packedCountMax + 320, packedCountMax * 2, 100_000),
      fc.nat(),
      fc.option(position, { nil: undefined }),
      limit,
      (shapes, end, seed, from, roomsMax) => {
        const sets = new RoomSets();
        const intersection = new Intersection(sets);
        const random = seededRandom(seed);
        const oracles = shapes.map(({ size }) => drawn(size, end, random));
        const handles = oracles.map((rooms, index) => setInForm(sets, rooms, shapes[index].asBitmap, end));
        const start = from === undefined ? 0 : startOf(oracles, from);
        const expected = naive(oracles, start, roomsMax);
        const before = handles.map((handle) => membersOf(sets, handle));

        intersection.of(Uint32Array.from(handles), start, roomsMax);
        expect(answerOf(intersection)).toEqual(expected);
        // Neither the order of the sets nor naming one twice changes the answer.
        intersection.of(Uint32Array.from([...handles].reverse().concat(handles[0])), start, roomsMax);
        expect(answerOf(intersection)).toEqual(expected);
        expect(intersection.any(handles[0], handles.at(-1)!)).toBe(
          naive([oracles[0], oracles.at(-1)!], 0, 0).count > 0,
        );
        expect(handles.map((handle) => membersOf(sets, handle))).toEqual(before);
      },
    ),
    { numRuns: 250 },
  );
});

describe('two sets of every pair of sizes and forms', () => {
  const random = seededRandom(2);
  const sets = new RoomSets();
  const intersection = new Intersection(sets);
  const all = sizes.flatMap((size) =>
    [false, true].map((asBitmap) => {
      const rooms = drawn(size, roomEnd, random);
      return { rooms, handle: setInForm(sets, rooms, asBitmap, roomEnd) };
    }),
  );

  test('pages, totals and any() from either side', () => {
    for (const left of all) {
      for (const right of all) {
        const start = roomAt(random(roomEnd));
        const expected = naive([left.rooms, right.rooms], start, 40);
        intersection.ofTwo(left.handle, right.handle, start, 40);
        expect(answerOf(intersection)).toEqual(expected);
        intersection.ofTwo(left.handle, right.handle, 0, 0);
        expect([intersection.count, intersection.beyond, intersection.taken]).toEqual([
          expected.count,
          expected.count,
          0,
        ]);
        expect(intersection.any(left.handle, right.handle)).toBe(expected.count > 0);
      }
    }
  });
});

describe('sets that share one room, or none', () => {
  const longest = packedCountMax + 200;
  const lengths = [
    1,
    2,
    5,
    probeCountMax,
    probeCountMax + 1,
    60,
    60 * gallopRatio,
    60 * gallopRatio + 1,
    longest,
  ];
  const pairs = lengths.flatMap((left) => lengths.map((right) => [Math.min(left, longest), right] as const));

  test.each(pairs)('%i and %i rooms', (leftCount, rightCount) => {
    const sets = new RoomSets();
    const intersection = new Intersection(sets);
    const even = Array.from({ length: leftCount }, (_, index) => 10 + index * 20);
    const odd = Array.from({ length: rightCount }, (_, index) => 11 + index * 20);
    const left = setOf(sets, even);
    const right = setOf(sets, odd);
    expect(intersection.any(left, right)).toBe(false);
    intersection.ofTwo(left, right, 0, 10);
    expect(answerOf(intersection)).toEqual({ count: 0, beyond: 0, rooms: [] });
    // The common room is the first, the last and one in the middle of the left set.
    for (const at of [0, leftCount >>> 1, leftCount - 1]) {
      const shared = setOf(sets, [...odd.slice(1), even[at]]);
      expect([intersection.any(left, shared), intersection.any(shared, left)]).toEqual([true, true]);
      intersection.ofTwo(shared, left, even[at], 10);
      expect(answerOf(intersection)).toEqual({ count: 1, beyond: 1, rooms: [even[at]] });
      intersection.ofTwo(shared, left, even[at] + 1, 10);
      expect(answerOf(intersection)).toEqual({ count: 1, beyond: 0, rooms: [] });
      sets.release(shared);
    }
  });
});

test('a bitmap smaller than a packed set, among three: the packed one is still read as what it is', () => {
  const sets = new RoomSets();
  const intersection = new Intersection(sets);
  const random = seededRandom(3);
  const rooms = [packedCountMin, packedCountMax, packedCountMin + 9].map((size) =>
    drawn(size, roomEnd, random),
  );
  const handles = rooms.map((members, index) => setInForm(sets, members, index !== 1, roomEnd));
  expect(handles.map((handle) => sets.isBitmap(handle))).toEqual([true, false, true]);
  intersection.of(Uint32Array.from(handles), 0, 100);
  expect(answerOf(intersection)).toEqual(naive(rooms, 0, 100));
});

describe('bounds', () => {
  const sets = new RoomSets();
  const intersection = new Intersection(sets);
  const many = Array.from({ length: roomsPerPageMax + 5 }, (_, index) => index * 7);
  const large = setOf(sets, many);

  test('a page is full at roomsPerPageMax, the total is not cut', () => {
    for (const handles of [[large], [large, large], [large, large, large]]) {
      intersection.of(Uint32Array.from(handles), 14, roomsPerPageMax);
      expect(answerOf(intersection)).toEqual({
        count: many.length,
        beyond: many.length - 2,
        rooms: many.slice(2, roomsPerPageMax + 2),
      });
    }
  });

  test('a larger page, no set, and more sets than a question may name are refused', () => {
    expect(() => intersection.ofTwo(large, large, 0, roomsPerPageMax + 1)).toThrow(/roomsPerPageMax/);
    expect(() => intersection.of(new Uint32Array(0), 0, 1)).toThrow(/usersPerQuestionMax/);
    const tooMany = new Uint32Array(usersPerQuestionMax + 1).fill(large);
    expect(() => intersection.of(tooMany, 0, 1)).toThrow(/usersPerQuestionMax/);
    intersection.of(tooMany.subarray(1), 0, 1);
    expect(intersection.count).toBe(many.length);
  });

  test('an empty set among any others leaves nothing of an earlier answer', () => {
    intersection.ofTwo(large, large, 0, 5);
    intersection.of(Uint32Array.from([large, emptySet, large]), 0, 5);
    expect(answerOf(intersection)).toEqual({ count: 0, beyond: 0, rooms: [] });
  });
});
