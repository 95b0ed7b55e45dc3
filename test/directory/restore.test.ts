/** Is an interner that was read back the one that was written, and is damage named? */
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { firstRoomOf, partitionCount, sequenceBits } from '../../src/base/ids.js';
import { nameBytesMax } from '../../src/base/limits.js';
import { wordsOf } from '../../src/directory/encoder.js';
import { roomInterner, userInterner, type Interner } from '../../src/directory/interner.js';
import { JsonList } from '../../src/directory/json-list.js';
import { escapeFlag } from '../../src/directory/names.js';
import { seededRandom } from '../model/random.js';
import { anyName } from './any-name.js';

/** A key that does not change, so that a failure can be repeated. */
const fixedKey = (size: number): Buffer => Buffer.alloc(size, 0x5a);
/** What is read back has another key, as after a restart. */
const otherKey = (size: number): Buffer => Buffer.alloc(size, 0x33);
/** Behind the names lies whatever lay there before. */
const leftOver = 0xa5a5a5a5;

interface Kind {
  readonly create: (random: (size: number) => Buffer) => Interner<number>;
  readonly lanes: number;
  /** The first number of a lane that has a name. */
  readonly firstOf: (lane: number) => number;
}

const users: Kind = { create: userInterner, lanes: 1, firstOf: () => 1 };
const rooms: Kind = { create: roomInterner, lanes: partitionCount, firstOf: firstRoomOf };

/** The words of names of one lane as a store has them. */
function storedWords({ names }: Interner<number>, numbers: readonly number[]): Uint32Array {
  const words = new Uint32Array(numbers.length * wordsOf(nameBytesMax));
  let end = 0;
  for (const number of numbers) end = names.copyTo(number, words, end);
  return words.slice(0, end);
}

/** Hands words over in a larger buffer, and looks whether they are the same afterwards. */
function restore(interner: Interner<number>, lane: number, words: Uint32Array): void {
  const block = new Uint32Array(words.length + 3).fill(leftOver);
  block.set(words);
  try {
    interner.restore(lane, block, words.length);
  } finally {
    expect(Buffer.compare(Buffer.from(block.buffer, 0, words.byteLength), Buffer.from(words.buffer))).toBe(0);
    expect([...block.subarray(words.length)]).toEqual([leftOver, leftOver, leftOver]);
  }
}

/** The numbers of a lane, in order. */
function numbersOf({ names }: Interner<number>, { firstOf }: Kind, lane: number): number[] {
  const first = firstOf(lane);
  const count = names.countOf(lane) - (first % 2 ** sequenceBits);
  return Array.from({ length: count }, (_, index) => first + index);
}

/** Reads everything back, so many names at a time. */
function readBack(interner: Interner<number>, kind: Kind, blockSize: number, reserved = 0): Interner<number> {
  const restored = kind.create(otherKey);
  restored.reserve(reserved);
  for (let lane = 0; lane < kind.lanes; lane += 1) {
    const numbers = numbersOf(interner, kind, lane);
    for (let at = 0; at < numbers.length; at += blockSize)
      restore(restored, lane, storedWords(interner, numbers.slice(at, at + blockSize)));
  }
  return restored;
}

function jsonOf({ names }: Interner<number>, numbers: readonly number[]): Buffer {
  const list = new JsonList(names);
  list.add(Uint32Array.from(numbers), numbers.length);
  return Buffer.from(list.bytes.subarray(0, list.end));
}

describe.each<[string, Kind]>([
  ['users', users],
  ['rooms', rooms],
])('%s', (_, kind) => {
  test('any names, in blocks of any size: the same numbers, texts and JSON, and it goes on alike', () => {
    fc.assert(
      fc.property(
        fc.uniqueArray(anyName, { maxLength: 80 }),
        fc.uniqueArray(anyName, { maxLength: 10 }),
        fc.integer({ min: 1, max: 70 }),
        (known, further, blockSize) => {
          const written = kind.create(fixedKey);
          const numbers = known.map((name) => written.intern(name));
          const restored = readBack(written, kind, blockSize);
          expect(restored.count).toBe(written.count);
          expect(known.map((name) => restored.find(name))).toEqual(numbers);
          expect(numbers.map((number) => restored.names.text(number))).toEqual(known);
          expect(Buffer.compare(jsonOf(restored, numbers), jsonOf(written, numbers))).toBe(0);
          const found = new Uint32Array(known.length);
          restored.findMany(known, found);
          expect([...found]).toEqual(numbers);
          for (const name of [...further, ...known]) expect(restored.intern(name)).toBe(written.intern(name));
          for (let lane = 0; lane < kind.lanes; lane += 1)
            expect(restored.names.countOf(lane)).toBe(written.names.countOf(lane));
        },
      ),
      { numRuns: 150 },
    );
  });

  test.each([
    ['reserved', 60_000],
    ['reserved for fewer', 20_000],
    ['not reserved', 0],
  ])('60,000 names over chunks and splits, %s', (_name, reserved) => {
    const written = kind.create(fixedKey);
    const nameOf = (index: number): string => `!${index}-${'é'.repeat(index % 30)}:example.org`;
    const numbers = Array.from({ length: 60_000 }, (_unused, index) => written.intern(nameOf(index)));
    const restored = readBack(written, kind, 32, reserved);
    const wrong = numbers.findIndex(
      (number, index) =>
        restored.find(nameOf(index)) !== number || restored.names.text(number) !== nameOf(index),
    );
    expect(wrong).toBe(-1);
    expect(restored.count).toBe(60_000);
    expect(restored.find('!none')).toBe(-1);
    expect(restored.names.bytes).toBe(written.names.bytes);
  });

  test('no names at all', () => {
    const restored = kind.create(fixedKey);
    restored.restore(0, new Uint32Array(1), 0);
    expect(restored.count).toBe(0);
  });
});

test('names of one hash are told apart: among 200,000 there are about five such pairs', () => {
  const written = userInterner(fixedKey);
  const names = Array.from({ length: 200_000 }, (_, index) => `@${index}:example.org`);
  const numbers = names.map((name) => written.intern(name));
  const restored = readBack(written, users, 1000);
  expect(names.findIndex((name, index) => restored.find(name) !== numbers[index])).toBe(-1);
});

test('a hundred of the longest names, all of them to be escaped', () => {
  const written = userInterner(fixedKey);
  const names = Array.from({ length: 100 }, (_, index) => `${index}`.padEnd(nameBytesMax, '"'));
  const numbers = names.map((name) => written.intern(name));
  const restored = readBack(written, users, 100);
  expect(names.map((name) => restored.find(name))).toEqual(numbers);
  expect(jsonOf(restored, numbers).toString()).toBe(JSON.stringify(names).slice(1, -1));
});

describe('damage', () => {
  const source = userInterner(fixedKey);
  const stored = (name: string): Uint32Array => storedWords(source, [source.intern(name)]);
  const joined = (...names: readonly Uint32Array[]): Uint32Array =>
    Uint32Array.from(names.flatMap((words) => [...words]));
  const withLength = (words: Uint32Array, length: number): Uint32Array => {
    const changed = words.slice();
    changed[0] = (changed[0] & ~0x7fff) | length;
    return changed;
  };
  const many = Array.from({ length: 40 }, (_, index) => `@user${index}:example.org`);

  test.each<[string, Uint32Array, RegExp]>([
    ['no length', joined(stored('@a'), withLength(stored('@b'), 0)), /a name of 0 bytes at 1 of 2 words/],
    ['only zeroes', new Uint32Array(40), /a name of 0 bytes at 0 of 40/],
    [
      'a length beyond any name',
      withLength(new Uint32Array(400), nameBytesMax + 1),
      /a name of 1025 bytes at 0/,
    ],
    ['the greatest length there is', withLength(stored('@a'), 0x7fff), /a name of 32767 bytes/],
    [
      'a name that runs past the end',
      joined(stored('@a'), stored('@long:example.org').subarray(0, 4)),
      /a name of 17 bytes at 1 of 5/,
    ],
    [
      'a header alone',
      withLength(stored('@long:example.org').slice(0, 1), 3),
      /a name of 3 bytes at 0 of 1 words/,
    ],
    [
      'the same name twice, side by side',
      joined(stored('@a'), stored('@b'), stored('@a')),
      /"@a" is there twice/,
    ],
    [
      'the same name twice, not looked up together',
      joined(...many.map(stored), stored('@user3:example.org')),
      /"@user3:example.org" is there twice/,
    ],
    [
      'the same name twice, once with the flag of those that JSON escapes',
      joined(
        stored('@a'),
        stored('@a').map((word) => word | escapeFlag),
      ),
      /"@a" is there twice/,
    ],
  ])('%s', (_, words, reason) => {
    expect(() => {
      restore(userInterner(otherKey), 0, words);
    }).toThrow(reason);
  });

  test('a name that is there from another run, or was interned', () => {
    const interner = userInterner(otherKey);
    restore(interner, 0, stored('@a'));
    interner.intern('@b');
    for (const name of ['@a', '@b']) {
      expect(() => {
        restore(interner, 0, stored(name));
      }).toThrow(`the name "${name}" is there twice`);
    }
  });

  test('each bit of the padding', () => {
    // With the two bytes of the header: one byte of padding, none, three, two and two.
    const bits: number[] = [];
    for (const name of ['x', 'xy', 'xyz', 'wxyz', '@tea:example.org']) {
      const words = stored(name);
      const used = 2 + name.length;
      for (let bit = used * 8; bit < words.length * 32; bit += 1) {
        const changed = words.slice();
        changed[bit >>> 5] |= 1 << (bit & 31);
        expect(() => {
          restore(userInterner(otherKey), 0, joined(changed, stored('@b')));
        }).toThrow(`behind the name "${name}" are bytes that are not zero`);
        bits.push(bit);
      }
    }
    expect(bits.length).toBe((1 + 0 + 3 + 2 + 2) * 8);
  });

  test('a room in a partition that is not its own', () => {
    const written = roomInterner(fixedKey);
    const room = written.intern('!tea:example.org');
    const words = storedWords(written, [room]);
    const own = room >>> sequenceBits;
    const interner = roomInterner(otherKey);
    for (let lane = 0; lane < partitionCount; lane += 1) {
      if (lane === own) continue;
      expect(() => {
        restore(interner, lane, words);
      }).toThrow(`the name "!tea:example.org" is in lane ${lane}, and belongs in ${own}`);
    }
    restore(interner, own, words);
    expect(interner.find('!tea:example.org')).toBe(room);
  });

  test('5,000 changes of bytes: an error, or names that are found under their numbers', () => {
    const random = seededRandom(5000);
    const words = joined(...many.map(stored), stored('"'), stored('é☕'));
    let errors = 0;
    for (let round = 0; round < 5000; round += 1) {
      const changed = words.slice();
      const bytes = new Uint8Array(changed.buffer);
      for (let times = 1 + random(3); times > 0; times -= 1)
        bytes[random(bytes.length)] = random(3) === 0 ? 0 : random(256);
      const interner = userInterner(otherKey);
      try {
        restore(interner, 0, changed);
      } catch (error) {
        if (!/^Error: (a name of|the name|behind the name)/.test(String(error))) throw error;
        errors += 1;
        continue;
      }
      expect(interner.names.countOf(0)).toBe(interner.count + 1);
      const again = new Uint32Array(changed.length);
      let end = 0;
      for (let number = 1; number <= interner.count; number += 1)
        end = interner.names.copyTo(number, again, end);
      expect(end).toBe(changed.length);
      expect(Buffer.compare(Buffer.from(again.buffer), Buffer.from(changed.buffer))).toBe(0);
    }
    expect(errors).toBeGreaterThan(500);
    expect(errors).toBeLessThan(4500);
  });

  test('words without the one behind them are our own fault', () => {
    expect(() => userInterner(otherKey).restore(0, stored('@a'), 1)).toThrow(/a word more/);
  });
});
