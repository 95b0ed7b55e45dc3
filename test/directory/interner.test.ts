/** Does a name have one number and a number one name (invariant I1), whatever names come, in whatever order? */
import { describe, expect, test, onTestFinished } from 'vitest';
import { Names } from '../../src/directory/names.js';
import fc from 'fast-check';
import { partitionCount, partitionOf, type RoomNo } from '../../src/base/ids.js';
import { nameBytesMax } from '../../src/base/limits.js';
import { roomInterner, unknown, userInterner, type Interner } from '../../src/directory/interner.js';
import { anyName } from './any-name.js';

/** A key that does not change, so that a failure can be repeated. */
const fixedKey = (size: number): Buffer => Buffer.alloc(size, 0x5a);

/** Room IDs of every kind, and the partitions that they were given ever since names are hashed with their length. */
const pinned: [string, number][] = [
  ['!a:b', 43],
  ['!tea:example.org', 52],
  ['!OGEhHVWSdvArJzumhm:matrix.org', 40],
  ['!RFlzVCqLZV6CTGDHJhXNu5qZ9xZx0ZbVBEdLwsP9zWI', 43],
  ['!größe:exämple.org', 39],
  ['!"quoted":example.org', 45],
  [`!${'x'.repeat(1000)}`, 28],
];

const notNames = ['', '\ud800', 'a\udc00', '\ude00\ud83d', 'x'.repeat(nameBytesMax + 1), '☕'.repeat(342)];

describe.each<[string, () => Interner<number>]>([
  ['users', () => userInterner(fixedKey)],
  ['rooms', () => roomInterner(fixedKey)],
])('%s', (_, create) => {
  test('agrees with a Map on any sequence of names', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(anyName, fc.boolean()), { maxLength: 60 }), (steps) => {
        const interner = create();
        const oracle = new Map<string, number>();
        for (const [name, isNew] of [...steps, ...steps]) {
          expect(interner.find(name)).toBe(oracle.get(name) ?? -1);
          if (!isNew) continue;
          const number = interner.intern(name);
          expect(number).toBe(oracle.get(name) ?? number);
          expect([...oracle].find(([other, taken]) => taken === number && other !== name)).toBeUndefined();
          oracle.set(name, number);
          expect(interner.count).toBe(oracle.size);
        }
        for (const [name, number] of oracle) {
          expect(interner.find(name)).toBe(number);
          expect(interner.names.text(number)).toBe(name);
        }
      }),
      { numRuns: 150 },
    );
  });

  test('refuses what is no name with INVALID and changes nothing, even when U+FFFD is one', () => {
    const interner = create();
    // Half of a surrogate pair would become U+FFFD in UTF-8.
    for (const name of ['\ufffd', 'a\ufffd', '\ufffd\ufffd', 'x'.repeat(nameBytesMax)]) interner.intern(name);
    const before = { count: interner.count, bytes: interner.bytes };
    for (const name of notNames) {
      expect(() => interner.intern(name)).toThrow(expect.objectContaining({ code: 'INVALID' }));
      expect(interner.find(name)).toBe(-1);
    }
    expect({ count: interner.count, bytes: interner.bytes }).toEqual(before);
    expect(interner.find('\ufffd')).not.toBe(-1);
  });

  test('findMany says what find says, of any names in any order', () => {
    const interner = create();
    fc.assert(
      fc.property(
        fc.array(fc.tuple(anyName, fc.boolean()), { maxLength: 100 }),
        fc.constantFrom(...notNames, 'twice', 'x'.repeat(nameBytesMax)),
        (steps, odd) => {
          for (const [name, isNew] of steps) if (isNew) interner.intern(name);
          const asked = steps.flatMap(([name], index) =>
            index % 3 === 0 ? [name, odd, odd, name] : [name, name],
          );
          const found = new Uint32Array(asked.length + 1).fill(77);
          interner.findMany(asked, found);
          const expected = asked.map((name) => (interner.find(name) === -1 ? unknown : interner.find(name)));
          expect([...found]).toEqual([...expected, 77]);
        },
      ),
      { numRuns: 150 },
    );
  });

  test('findMany tells names of one hash apart: among 200,000 there are about five such pairs', () => {
    const interner = create();
    const names = Array.from({ length: 200_000 }, (_, index) => `!${index}:example.org`);
    const numbers = names.map((name) => interner.intern(name));
    const found = new Uint32Array(names.length);
    interner.findMany(names, found);
    expect(found.findIndex((number, index) => number !== numbers[index])).toBe(-1);
    const others = names.map((name) => `${name}x`);
    interner.findMany(others, found);
    expect(found.every((number) => number === unknown)).toBe(true);
  });

  test('find gives out no number', () => {
    const interner = create();
    const { bytes } = interner;
    for (let index = 0; index < 1000; index += 1) expect(interner.find(`@${index}:example.org`)).toBe(-1);
    expect(interner.count).toBe(0);
    expect(interner.bytes).toEqual(bytes);
  });

  test('100,000 names, over the borders of arena chunks, enlargements and splits', () => {
    const interner = create();
    const nameOf = (index: number): string => `!${index}-${'é'.repeat(index % 40)}:example.org`;
    const numbers = new Set<number>();
    for (let index = 0; index < 100_000; index += 1) numbers.add(interner.intern(nameOf(index)));
    expect(numbers.size).toBe(100_000);
    expect(interner.count).toBe(100_000);
    expect(interner.names.subscribe().growth.pieces.filter(({ lane }) => lane === -1).length).toBeGreaterThan(
      4,
    );
    let index = 0;
    for (const number of numbers) {
      const name = nameOf(index);
      if (interner.find(name) !== number || interner.intern(name) !== number) expect.fail(`lost ${name}`);
      if (interner.names.text(number) !== name) expect(interner.names.text(number)).toBe(name);
      index += 1;
    }
    expect(interner.count).toBe(100_000);
  });

  test('other keys give the same numbers: a key only spreads the table', () => {
    const names = Array.from({ length: 500 }, (_, index) => `@user${index}:example.org`);
    const numbersOf = (interner: Interner<number>): number[] => names.map((name) => interner.intern(name));
    expect(numbersOf(create())).toEqual(numbersOf(create()));
    expect(numbersOf(userInterner((size) => Buffer.alloc(size, 1)))).toEqual(
      numbersOf(userInterner((size) => Buffer.alloc(size, 2))),
    );
    expect(numbersOf(roomInterner((size) => Buffer.alloc(size, 1)))).toEqual(
      numbersOf(roomInterner((size) => Buffer.alloc(size, 2))),
    );
  });
});

test('users are numbered from 1: nobody, 0, is never given out or found', () => {
  const users = userInterner(fixedKey);
  expect(users.find('')).toBe(-1);
  expect(users.intern('@alice:example.org')).toBe(1);
  expect(users.intern('@bob:example.org')).toBe(2);
  expect(users.count).toBe(2);
});

describe('partitions', () => {
  test('of known rooms stay where they are: stored numbers and page tokens depend on it', () => {
    const rooms = roomInterner();
    const partitions = pinned.map(([name]) => partitionOf(rooms.intern(name)));
    expect(pinned.map(([name], index) => [name, partitions[index]])).toEqual(pinned);
  });

  test('take 64,000 room IDs evenly, and number them densely', () => {
    const rooms = roomInterner(fixedKey);
    const counts = new Array<number>(partitionCount).fill(0);
    for (let index = 0; index < 64_000; index += 1) {
      const room = rooms.intern(`!room${index}:example.org`);
      const partition = partitionOf(room);
      expect(room % 2 ** 25).toBe(counts[partition]);
      counts[partition] += 1;
    }
    const chiSquare = counts.reduce((sum, count) => sum + (count - 1000) ** 2 / 1000, 0);
    // 63 degrees of freedom: one fair hash in a hundred thousand lies above 127.
    expect(chiSquare).toBeLessThan(127);
  });
});

test('a reader that looks for what is new reads every room', () => {
  const rooms = roomInterner(fixedKey);
  const reader = Names.open(rooms.names.subscribe());
  onTestFinished(() => reader.close());
  const numbers: RoomNo[] = [];
  for (let index = 0; index < 5000; index += 1) numbers.push(rooms.intern(`!${'r'.repeat(300)}${index}`));
  reader.renew();
  expect(numbers.map((room) => reader.text(room))).toEqual(numbers.map((room) => rooms.names.text(room)));
});
