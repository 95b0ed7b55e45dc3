/** Does the table find what was put in, when hashes are equal, crowded into one segment, or many? */
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { HashTable } from '../../src/directory/hash-table.js';
import { seededRandom } from '../model/random.js';

/** A table of numbers that are their own names; `hashes[number]` is the hash of each. */
class Numbers {
  readonly hashes: number[] = [];
  #wanted = -1;
  readonly table = new HashTable((number) => number === this.#wanted);

  insert(hash: number): void {
    this.table.insert(hash, this.hashes.length);
    this.hashes.push(hash);
  }

  find(number: number, hash: number): number {
    this.#wanted = number;
    return this.table.find(hash);
  }

  expectAll(): void {
    expect(this.table.count).toBe(this.hashes.length);
    const lost = this.hashes.findIndex((hash, number) => this.find(number, hash) !== number);
    expect(lost).toBe(-1);
    // A number that is not there is not found under any of the hashes.
    const found = this.hashes.find((hash) => this.find(this.hashes.length, hash) !== -1);
    expect(found).toBeUndefined();
  }
}

test('an empty table finds nothing', () => {
  expect(new Numbers().find(0, 0)).toBe(-1);
});

describe('hash collisions', () => {
  test.each([0, 1, 0x7fffffff, 0x80000000, 0xffffffff])('3,000 numbers with the one hash %i', (hash) => {
    const numbers = new Numbers();
    for (let count = 0; count < 3000; count += 1) numbers.insert(hash);
    numbers.expectAll();
  });

  test('few hashes, that differ in the bits which choose the slot or the segment, in any order', () => {
    const few = fc.constantFrom(
      0,
      1,
      255,
      256,
      0x3fff,
      0x4000,
      0x80000000,
      0x80000001,
      0xc0000000,
      0xffffffff,
    );
    fc.assert(
      fc.property(fc.array(few, { maxLength: 700 }), (hashes) => {
        const numbers = new Numbers();
        for (const hash of hashes) numbers.insert(hash);
        numbers.expectAll();
      }),
    );
  });

  test('40,000 hashes with the same 8 high bits: one segment splits again and again', () => {
    const random = seededRandom(8);
    const numbers = new Numbers();
    for (let count = 0; count < 40_000; count += 1) numbers.insert((0xa5000000 | random(2 ** 24)) >>> 0);
    numbers.expectAll();
  });

  test('40,000 hashes with the same 14 low bits: every member wants the same slot', () => {
    const random = seededRandom(14);
    const numbers = new Numbers();
    for (let count = 0; count < 40_000; count += 1) numbers.insert((random(2 ** 18) << 14) >>> 0);
    // Runs of one slot are long here, so a sample is looked up.
    for (let number = 0; number < 40_000; number += 97)
      expect(numbers.find(number, numbers.hashes[number])).toBe(number);
    expect(numbers.find(40_000, numbers.hashes[0])).toBe(-1);
  });
});

test('200,000 random hashes: all found at each size, and memory stays between 8 and 24 bytes a number', () => {
  const random = seededRandom(1);
  const numbers = new Numbers();
  for (const size of [200, 205, 206, 13_107, 13_108, 30_000, 200_000]) {
    while (numbers.hashes.length < size) numbers.insert(random(2 ** 32));
    numbers.expectAll();
    expect(numbers.table.bytes).toBeGreaterThan(size * 8);
    expect(numbers.table.bytes).toBeLessThan(size * 24);
  }
});

describe('inserting unless it is there', () => {
  test('says what find says, and then find finds it: few hashes and many, in any order', () => {
    const few = fc.constantFrom(0, 1, 0x3fff, 0x4000, 0x80000000, 0xffffffff);
    const any = fc.integer({ min: 0, max: 0xffffffff });
    fc.assert(
      fc.property(
        fc.array(fc.tuple(fc.oneof(few, any), fc.nat({ max: 50 })), { maxLength: 700 }),
        (steps) => {
          // What is looked for is a hash together with one of 50 names; a number stands for the pair that came first.
          const pairs: [number, number][] = [];
          let wanted = 0;
          const table = new HashTable((number) => pairs[number][1] === wanted);
          for (const [hash, name] of steps) {
            wanted = name;
            const before = table.find(hash);
            const known = pairs.findIndex(
              ([otherHash, otherName]) => otherHash === hash && otherName === name,
            );
            expect(before).toBe(known);
            const number = pairs.length;
            if (known === -1) pairs.push([hash, name]);
            expect(table.insertUnlessThere(hash, number)).toBe(known);
            expect(table.find(hash)).toBe(known === -1 ? number : known);
            expect(table.count).toBe(pairs.length);
          }
        },
      ),
    );
  });

  test('over enlargements and splits', () => {
    const random = seededRandom(5);
    const hashes = Array.from({ length: 60_000 }, () => random(2 ** 32));
    let wanted = 0;
    const table = new HashTable((number) => number === wanted);
    for (const [number, hash] of hashes.entries()) {
      wanted = number;
      expect(table.insertUnlessThere(hash, number)).toBe(-1);
    }
    const lost = hashes.findIndex((hash, number) => {
      wanted = number;
      return table.insertUnlessThere(hash, number) !== number;
    });
    expect(lost).toBe(-1);
    expect(table.count).toBe(60_000);
  });
});

describe('reserve', () => {
  test.each([0, 1, 12_000, 13_000, 30_000, 100_000, 300_000])(
    'for %i: as many are found, and more',
    (count) => {
      const random = seededRandom(count);
      const numbers = new Numbers();
      numbers.table.reserve(count);
      const { bytes } = numbers.table;
      while (numbers.hashes.length < count) numbers.insert(random(2 ** 32));
      numbers.expectAll();
      // Nothing was split: what is there was there from the beginning.
      if (count > 12_451) expect(numbers.table.bytes).toBe(bytes);
      expect(bytes).toBeLessThan(Math.max(4096, count * 24));
      while (numbers.hashes.length < count + 20_000) numbers.insert(random(2 ** 32));
      numbers.expectAll();
    },
  );

  test('is for an empty table', () => {
    const numbers = new Numbers();
    numbers.insert(1);
    expect(() => numbers.table.reserve(100_000)).toThrow(/only an empty table/);
  });
});

test('number 2^31 - 1, the largest that fits', () => {
  const table = new HashTable((number) => number === 2 ** 31 - 1);
  table.insert(7, 2 ** 31 - 1);
  expect(table.find(7)).toBe(2 ** 31 - 1);
});
