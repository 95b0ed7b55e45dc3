/** Is a room set a set, whatever is done to it and its neighbours, in both forms and over every border (invariant I3)? */
import { describe, expect, test } from 'vitest';
import { packedCountMax, packedCountMin } from '../../src/sets/thresholds.js';
import { RunView } from '../../src/sets/packed-runs.js';
import { RoomSets, emptySet } from '../../src/sets/room-sets.js';
import { seededRandom } from '../model/random.js';
import { CheckedSets, borders, roomAt, setOf, sizes } from './checked-sets.js';

/** More rooms than the largest packed set holds. */
const roomEnd = packedCountMax * 3;

describe('against Set', () => {
  test.each(borders)('to and fro over %i', (border) => {
    const sets = new CheckedSets(1);
    const random = seededRandom(border);
    sets.resize(0, packedCountMax + 1, roomEnd, random);
    for (let round = 0; round < 12; round += 1) {
      // From above and, every other time, from a run that grew up to it.
      if (round % 2 === 0) sets.resize(0, packedCountMin - 20, roomEnd, random);
      for (const count of [border, border - 1, border + 1, border - 2, border])
        sets.resize(0, count, roomEnd, random);
      sets.expectMembers();
    }
  });

  test.each([
    ['ascending', (index: number) => index],
    ['descending', (index: number) => packedCountMax + 700 - index],
    ['from both ends', (index: number) => (index % 2 === 0 ? index : packedCountMax + 701 - index)],
  ])('up to a bitmap and down to nothing, %s', (_, order) => {
    const sets = new CheckedSets(1);
    const indices = Array.from({ length: packedCountMax + 20 }, (_unused, index) => order(index));
    for (const index of indices) sets.add(0, roomAt(index));
    sets.expectMembers();
    for (const index of indices) sets.remove(0, roomAt(index));
    sets.expectMembers();
    expect(sets.handles[0]).toBe(emptySet);
  });
});

describe('the empty set', () => {
  const sets = new RoomSets();

  test('has nothing, loses nothing and can be released', () => {
    expect([sets.count(emptySet), sets.has(emptySet, 0), sets.remove(emptySet, 0)]).toEqual([0, false, -1]);
    expect(() => sets.release(emptySet)).not.toThrow();
    expect(sets.fault(emptySet)).toBeUndefined();
    expect(sets.bytes).toEqual({ packed: 0, bitmaps: 0 });
  });
});

describe('append', () => {
  test.each(sizes)('makes a set of %i rooms in the form that it would grow into', (count) => {
    const sets = new CheckedSets(1);
    sets.append(0, count, seededRandom(count));
    sets.expectMembers();
    expect(sets.oracles[0].size).toBe(count);
    expect(sets.sets.isBitmap(sets.handles[0])).toBe(count > packedCountMax);
  });

  test.each(sizes)('goes on from %i rooms, over every border, in both forms', (count) => {
    for (const further of sizes) {
      const sets = new CheckedSets(1);
      const random = seededRandom(further);
      for (const added of [count, further, 0, 1]) sets.append(0, added, random);
      sets.expectMembers();
      expect(sets.oracles[0].size).toBe(count + further + 1);
    }
  });

  test('of rooms that are not above those that are there is our own fault, in both forms', () => {
    const sets = new RoomSets();
    const packed = setOf(sets, [3, 5, 7]);
    const bitmap = sets.append(
      emptySet,
      Uint32Array.from({ length: packedCountMax + 1 }, (_, index) => index),
      packedCountMax + 1,
    );
    for (const rooms of [[7], [6, 9], [0]]) {
      for (const handle of [packed, bitmap])
        expect(() => sets.append(handle, Uint32Array.from(rooms), 1)).toThrow(/appended to those below/);
    }
  });

  test('leaves no memory behind but what the set takes', () => {
    const sets = new CheckedSets(20);
    const random = seededRandom(20);
    const churn = (): void => {
      for (let set = 0; set < 20; set += 1) {
        for (const count of [1, 2, 5, 90]) sets.append(set, count * (1 + (set % 3)), random);
        sets.release(set);
      }
    };
    churn();
    const { packed } = sets.sets.bytes;
    for (let round = 0; round < 4; round += 1) churn();
    expect(sets.sets.bytes.packed).toBe(packed);
    expect(sets.sets.bitmapCount).toBe(0);
  });
});

describe('memory', () => {
  test('of packed sets is used again: churn of the same sizes adds nothing', () => {
    const sets = new CheckedSets(40);
    const random = seededRandom(40);
    const churn = (): void => {
      for (let set = 0; set < 40; set += 1) {
        sets.resize(set, 3 + ((set * 37) % 500), 5000, random);
        sets.resize(set, set % 5, 5000, random);
        if (set % 3 === 0) sets.release(set);
      }
    };
    churn();
    const { packed } = sets.sets.bytes;
    for (let round = 0; round < 4; round += 1) churn();
    expect(sets.sets.bytes.packed).toBe(packed);
    sets.expectMembers();
  });

  test('of bitmaps is used again, and given back when they are released or demoted', () => {
    const sets = new CheckedSets(3);
    const random = seededRandom(3);
    for (let round = 0; round < 5; round += 1) {
      for (let set = 0; set < 3; set += 1) sets.resize(set, packedCountMax + 1, 5000, random);
      expect(sets.sets.bitmapCount).toBe(3);
      expect(sets.sets.bytes.bitmaps).toBeGreaterThan(3 * packedCountMax * 2);
      sets.release(1);
      sets.resize(2, packedCountMin - 1, 5000, random);
      expect(sets.sets.bitmapCount).toBe(1);
      sets.expectMembers();
      sets.release(0);
      expect(sets.sets.bytes.bitmaps).toBe(0);
    }
  });

  test('of thousands of small sets is a few words each, over several chunks of a class', () => {
    const sets = new RoomSets();
    const handles = Array.from({ length: 20_000 }, (_, index) => setOf(sets, [index, index + 1, index + 2]));
    expect(new Set(handles).size).toBe(20_000);
    const wrong = handles.findIndex(
      (handle, index) => sets.count(handle) !== 3 || !sets.has(handle, index + 2),
    );
    expect(wrong).toBe(-1);
    expect(handles.find((handle) => sets.fault(handle) !== undefined)).toBeUndefined();
    // 12 bytes each, and the slots of one and two that they grew out of, which are shared.
    expect(sets.bytes.packed).toBeLessThan(20_000 * 12 + 3 * 65_536);
  });
});

describe('fault', () => {
  test('names a run out of order, one with a hole in its padding, and a bitmap that is too small', () => {
    const sets = new RoomSets();
    const outOfOrder = setOf(sets, [1, 2, 3, 4, 5]);
    const holed = setOf(sets, [1, 2, 3, 4, 5, 6, 7]);
    const shrunk = setOf(
      sets,
      Array.from({ length: packedCountMax + 1 }, (_, index) => index),
    );
    expect([outOfOrder, holed, shrunk].map((handle) => sets.fault(handle))).toEqual(Array(3).fill(undefined));
    const words = (handle: number): Uint32Array => {
      const view = new RunView();
      sets.runs.open(handle, view);
      return view.words.subarray(view.start, view.start + 8);
    };
    words(outOfOrder)[1] = 9;
    words(holed)[6] = 0xffffffff;
    words(holed)[7] = 8;
    sets.bitmap(shrunk).clear();
    expect(sets.fault(outOfOrder)).toMatch(/out of order/);
    expect(sets.fault(holed)).toMatch(/not padded|out of order|too large a class/);
    expect(sets.fault(shrunk)).toMatch(/should be packed/);
  });
});
