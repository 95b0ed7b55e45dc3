/** Do runs of every length fit the smallest class that holds them, and are freed slots the next ones taken? */
import { describe, expect, test } from 'vitest';
import { roomNoEnd } from '../../src/base/ids.js';
import { PackedRuns, RunView, classOf, isSingle, lowerBound } from '../../src/sets/packed-runs.js';
import { packedCountMax } from '../../src/sets/thresholds.js';
import { seededRandom } from '../model/random.js';

const ascending = (count: number): Uint32Array =>
  Uint32Array.from({ length: count }, (_, index) => index * 3);

const bytesOf = ({ words, start, count }: RunView): Buffer =>
  Buffer.from(words.buffer, words.byteOffset + start * 4, count * 4);

test('create, open and fault for every length', () => {
  const runs = new PackedRuns();
  const view = new RunView();
  let sizeClass = 1;
  expect(isSingle(runs.create(ascending(1)))).toBe(true);
  for (let count = 2; count <= packedCountMax; count += 1) {
    const handle = runs.create(ascending(count));
    runs.open(handle, view);
    // `toEqual` of this many numbers takes seconds.
    expect(Buffer.compare(bytesOf(view), Buffer.from(ascending(count).buffer))).toBe(0);
    expect(runs.fault(handle)).toBeUndefined();
    expect(classOf(handle)).toBeGreaterThanOrEqual(sizeClass);
    sizeClass = classOf(handle);
  }
});

describe('insert', () => {
  test.each([1, 2, 3, 7, 12, 200])('at every place of a run of %i', (count) => {
    const runs = new PackedRuns();
    const view = new RunView();
    for (let index = 0; index <= count; index += 1) {
      const room = index * 3 - 1 + (index === 0 ? 1 : 0);
      const members = ascending(count).map((member) => (index === 0 ? member + 1 : member));
      const handle = runs.insert(runs.create(members), index, room);
      runs.open(handle, view);
      expect(view.count).toBe(count + 1);
      expect(view.words[view.start + index]).toBe(room);
      expect(runs.fault(handle)).toBeUndefined();
    }
  });

  test('refuses what would be longer than packedCountMax, and changes nothing', () => {
    const runs = new PackedRuns();
    const view = new RunView();
    const handle = runs.create(ascending(packedCountMax));
    expect(() => runs.insert(handle, 1, 1)).toThrow('becomes a bitmap');
    runs.open(handle, view);
    expect(view.words.slice(view.start, view.start + view.count)).toEqual(ascending(packedCountMax));
  });
});

test('a freed slot is the next one taken, last freed first', () => {
  const runs = new PackedRuns();
  const handles = Array.from({ length: 9 }, () => runs.create(ascending(2)));
  const freed = [handles[4], handles[0], handles[8]];
  for (const handle of freed) runs.release(handle);
  const taken = freed.map(() => runs.create(ascending(2)));
  expect(taken).toEqual([...freed].reverse());
  expect(handles).not.toContain(runs.create(ascending(2)));
});

test('one room takes no slot, from the first RoomNo to the last, and grows and shrinks back to one', () => {
  const runs = new PackedRuns();
  const view = new RunView();
  for (const room of [0, 1, roomNoEnd - 1]) {
    const handle = runs.single(room);
    expect(isSingle(handle)).toBe(true);
    runs.open(handle, view);
    expect([...view.words.subarray(view.start, view.start + view.count)]).toEqual([room]);
    expect(runs.bytes).toBe(0);
  }
  const pair = runs.insert(runs.single(7), 0, 3);
  expect(isSingle(pair)).toBe(false);
  expect(runs.removeAt(pair, 0)).toBe(runs.single(7));
  expect(runs.removeAt(runs.insert(runs.single(7), 1, 9), 1)).toBe(runs.single(7));
  expect(runs.removeAt(runs.single(7), 0)).toBe(0);
});

test('lowerBound is where a room belongs', () => {
  const words = Uint32Array.from([99, 2, 4, roomNoEnd - 1, 0]);
  expect([0, 2, 3, 4, 5, roomNoEnd - 1].map((room) => lowerBound(words, 1, 3, room))).toEqual([
    0, 0, 1, 1, 2, 2,
  ]);
  expect(lowerBound(words, 1, 2, 9)).toBe(2);
  expect(lowerBound(words, 1, 0, 9)).toBe(0);
  const random = seededRandom(9);
  for (let count = 1; count < 70; count += 1) {
    const drawn = Uint32Array.from({ length: count }, () => random(roomNoEnd)).sort();
    for (const room of [0, roomNoEnd - 1, ...drawn, ...drawn.map((member) => member + 1)]) {
      const expected = drawn.findIndex((member) => member >= room);
      expect(lowerBound(drawn, 0, count, room)).toBe(expected === -1 ? count : expected);
    }
  }
});
