/** Do runs of every length fit the smallest class that holds them, and are freed slots the next ones taken? */
import { describe, expect, test } from 'vitest';
import { PackedRuns, RunView, classOf, lowerBound } from '../../src/sets/packed-runs.js';
import { packedCountMax } from '../../src/sets/thresholds.js';

const ascending = (count: number): Uint32Array =>
  Uint32Array.from({ length: count }, (_, index) => index * 3);

test('create, open and fault for every length', () => {
  const runs = new PackedRuns();
  const view = new RunView();
  let sizeClass = 1;
  for (let count = 1; count <= packedCountMax; count += 1) {
    const handle = runs.create(ascending(count));
    runs.open(handle, view);
    expect(view.words.slice(view.start, view.start + view.count)).toEqual(ascending(count));
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
    expect(runs.insert(handle, 1, 1)).toBe(0);
    runs.open(handle, view);
    expect(view.words.slice(view.start, view.start + view.count)).toEqual(ascending(packedCountMax));
  });
});

test('a freed slot is the next one taken, last freed first', () => {
  const runs = new PackedRuns();
  const handles = Array.from({ length: 9 }, (_, room) => runs.single(room));
  const freed = [handles[4], handles[0], handles[8]];
  for (const handle of freed) runs.release(handle);
  const taken = freed.map(() => runs.single(7));
  expect(taken).toEqual([...freed].reverse());
  expect(handles).not.toContain(runs.single(7));
});

test('lowerBound is where a room belongs', () => {
  const words = Uint32Array.from([99, 2, 4, 4294967295, 0]);
  expect([0, 2, 3, 4, 5, 4294967295].map((room) => lowerBound(words, 1, 3, room))).toEqual([
    0, 0, 1, 1, 2, 2,
  ]);
  expect(lowerBound(words, 1, 2, 9)).toBe(2);
  expect(lowerBound(words, 1, 0, 9)).toBe(0);
});
