/** Do the calls of the native package mean what bitmap.ts takes them to mean? */
import { expect, test } from 'vitest';
import {
  bitmapBytes,
  bitmapCopy,
  bitmapFault,
  bitmapIntersection,
  bitmapOf,
  bitmapRank,
} from '../../src/sets/bitmap.js';
import { roomNoEnd } from '../../src/base/ids.js';

// Members in several containers, and the largest RoomNo.
const members = Uint32Array.from([0, 5, 65_535, 65_536, 2 ** 25, 2 ** 25 + 1, 2 ** 30, roomNoEnd - 1]);

test('rank is how many members lie below', () => {
  const bitmap = bitmapOf(members);
  const starts = [0, 1, 5, 6, 65_536, 2 ** 25 + 1, roomNoEnd - 1, roomNoEnd];
  expect(starts.map((start) => bitmapRank(bitmap, start))).toEqual([0, 1, 1, 2, 3, 5, 7, 8]);
});

test('copy begins at a rank and stops at the limit, at the target and at the end', () => {
  const bitmap = bitmapOf(members);
  for (let rank = 0; rank <= members.length; rank += 1) {
    for (let limit = 0; limit <= members.length + 1; limit += 1) {
      const target = new Uint32Array(12).fill(77);
      const expected = members.slice(rank, rank + limit);
      expect(bitmapCopy(bitmap, rank, limit, target)).toBe(expected.length);
      expect(target.slice(0, expected.length)).toEqual(expected);
      expect(target.slice(expected.length).every((word) => word === 77)).toBe(true);
    }
  }
});

test('a bitmap is a copy, and an intersection leaves both sides as they were', () => {
  const source = Uint32Array.from(members);
  const left = bitmapOf(source);
  source.fill(1);
  const right = bitmapOf(Uint32Array.from([5, 6, 2 ** 30]));
  const common = bitmapIntersection(left, right);
  expect([...common]).toEqual([5, 2 ** 30]);
  expect([...left]).toEqual([...members]);
  expect(right.size).toBe(3);
  expect(bitmapFault(common)).toBeUndefined();
  expect(bitmapBytes(left)).toBeGreaterThan(bitmapBytes(common));
});
