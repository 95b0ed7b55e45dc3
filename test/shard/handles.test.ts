/** Does either form keep what a Map keeps, whoever comes and goes, and is its memory used again? */
import { describe, expect, test } from 'vitest';
import { DenseHandles, SparseHandles, type Handles } from '../../src/shard/handles.js';
import { seededRandom } from '../model/random.js';

/** Neighbours, both ends of groups and chunks, and some far away. */
const userOf = (index: number): number => (index % 5 === 0 ? index * 997 : index);

const forms: [string, () => Handles][] = [
  ['dense', () => new DenseHandles()],
  ['sparse', () => new SparseHandles()],
];

describe.each(forms)('%s', (_, create) => {
  test('agrees with a Map', () => {
    const handles = create();
    const oracle = new Map<number, number>();
    const random = seededRandom(5);
    for (let step = 0; step < 200_000; step += 1) {
      const user = userOf(random(300));
      const handle = random(3) === 0 ? 0 : 1 + random(2 ** 32 - 1);
      handles.set(user, handle);
      oracle.set(user, handle);
      const other = userOf(random(300));
      if (handles.get(other) !== (oracle.get(other) ?? 0)) expect.fail(`user ${other} at step ${step}`);
    }
    for (const [user, handle] of oracle) expect(handles.get(user)).toBe(handle);
    expect(handles.end).toBeGreaterThan(Math.max(...oracle.keys()));
  });

  test('somebody beyond everybody has nothing', () => {
    const handles = create();
    expect([handles.get(0), handles.get(5_000_000), handles.end, handles.bytes]).toEqual([0, 0, 0, 0]);
    handles.set(70_000, 9);
    expect([handles.get(69_999), handles.get(70_000), handles.get(70_001)]).toEqual([0, 9, 0]);
  });

  test('churn of the same users takes no more memory', () => {
    const handles = create();
    const churn = (): void => {
      for (let user = 0; user < 20_000; user += 1) handles.set(user, 7);
      for (let user = 0; user < 20_000; user += 1) handles.set(user, user % 3 === 0 ? 8 : 0);
      for (let user = 0; user < 20_000; user += 1) handles.set(user, 0);
    };
    churn();
    const { bytes } = handles;
    for (let round = 0; round < 3; round += 1) churn();
    expect(handles.bytes).toBe(bytes);
  });
});

test('sparse takes less where few are there', () => {
  const [dense, sparse] = forms.map(([, create]) => create());
  for (let user = 0; user < 1_000_000; user += 3) {
    dense.set(user, 1);
    sparse.set(user, 1);
  }
  expect(sparse.bytes).toBeLessThan(dense.bytes * 0.55);
});
