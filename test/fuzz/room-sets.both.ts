/** Are room sets the plainest sets over any sequence of changes, in both forms (invariant I3)? */
import { afterAll, expect, test } from 'vitest';
import fc from 'fast-check';
import { packedCountMax } from '../../src/sets/thresholds.js';
import { seededRandom } from '../model/random.js';
import { runs } from '../runs.js';
import { CheckedSets, roomAt, sizes } from '../sets/checked-sets.js';

const setCount = 4;
let steps = 0;

afterAll(() => {
  expect(steps, 'steps that were made').toBeGreaterThan(runs(10_000, 100_000));
});

type Step = (sets: CheckedSets, end: number) => void;

const at = fc.nat({ max: setCount - 1 });
const room = fc.nat({ max: 999 });
const seed = fc.nat();

/** One step of a sequence: printed by name when a sequence fails. */
function step(name: string, run: Step): { toString: () => string; run: Step } {
  return { toString: () => name, run };
}

const anyStep = fc.oneof(
  {
    weight: 6,
    arbitrary: fc.tuple(at, room).map(([set, index]) => step(`add(${set}, ${index})`, add(set, index))),
  },
  {
    weight: 5,
    arbitrary: fc.tuple(at, room).map(([set, index]) => step(`drop(${set}, ${index})`, drop(set, index))),
  },
  { weight: 1, arbitrary: at.map((set) => step(`release(${set})`, (sets) => sets.release(set))) },
  {
    weight: 2,
    arbitrary: fc
      .tuple(at, fc.constantFrom(...sizes), seed)
      .map(([set, count, from]) =>
        step(`append(${set}, ${count}, ${from})`, (sets) => sets.append(set, count, seededRandom(from))),
      ),
  },
  {
    weight: 3,
    arbitrary: fc
      .tuple(at, fc.constantFrom(...sizes), seed)
      .map(([set, count, from]) =>
        step(`resize(${set}, ${count}, ${from})`, (sets, end) =>
          sets.resize(set, count, end, seededRandom(from)),
        ),
      ),
  },
);

function add(set: number, index: number): Step {
  return (sets, end) => sets.add(set, roomAt(index % end));
}

function drop(set: number, index: number): Step {
  return (sets, end) => sets.remove(set, roomAt(index % end));
}

// Few rooms make hits frequent; many spread over all containers.
test.each([packedCountMax + 100, 100_000])('sequences over %i rooms', (end) => {
  fc.assert(
    fc.property(fc.array(anyStep, { minLength: 1, maxLength: 60, size: 'max' }), (sequence) => {
      const sets = new CheckedSets(setCount);
      for (const { run } of sequence) run(sets, end);
      sets.expectMembers();
      steps += sets.steps;
    }),
    { numRuns: runs(12, 80) },
  );
});
