/** The ledger of missing ids, against a set that holds each of them. */
import fc from 'fast-check';
import { describe, expect, test } from 'vitest';
import { gapRangesMax, oldestGapsKept } from '../../../src/source/synapse/bounds.js';
import { GapLedger } from '../../../src/source/synapse/follow/gap-ledger.js';

const empty = new GapLedger([]);

function idsOf({ gaps }: GapLedger): number[] {
  return gaps.flatMap(({ from, to }) => Array.from({ length: to - from + 1 }, (_, index) => from + index));
}

describe('the ledger', () => {
  test('holds what was not seen, however ids come', () => {
    const poll = fc.record({
      length: fc.integer({ min: 0, max: 20 }),
      seen: fc.array(fc.integer({ min: 1, max: 20 })),
      filled: fc.array(fc.integer({ min: 1, max: 120 })),
    });
    fc.assert(
      fc.property(fc.array(poll, { maxLength: 8 }), (polls) => {
        let ledger = empty;
        const missing = new Set<number>();
        let high = 0;
        for (const { length, seen, filled } of polls) {
          const ids = seen.map((id) => high + id).filter((id) => id <= high + length);
          const sorted = (list: readonly number[]): number[] => [...list].sort((left, right) => left - right);
          ledger = ledger.without(sorted(filled.filter((id) => id <= high)));
          for (const id of filled) if (id <= high) missing.delete(id);
          ledger = ledger.extended(high + 1, high + length, sorted(ids), 0);
          for (let id = high + 1; id <= high + length; id += 1) if (!ids.includes(id)) missing.add(id);
          high += length;
          expect(idsOf(ledger)).toEqual(sorted([...missing]));
          expect(ledger.idCount).toBe(missing.size);
          for (const [index, { from }] of ledger.gaps.entries())
            if (index > 0) expect(from).toBeGreaterThan(ledger.gaps[index - 1].to);
        }
      }),
    );
  });

  test('a jump of the sequence is one gap', () => {
    const ledger = empty.extended(6, 1_000_000_005, [1_000_000_005], 7);
    expect(ledger.gaps).toEqual([{ from: 6, to: 1_000_000_004, sinceMs: 7 }]);
    expect(ledger.without([500]).gaps).toEqual([
      { from: 6, to: 499, sinceMs: 7 },
      { from: 501, to: 1_000_000_004, sinceMs: 7 },
    ]);
  });

  test('below an id cuts a gap in two', () => {
    const ledger = empty.extended(1, 20, [5, 20], 0);
    expect(ledger.below(10).gaps).toEqual([
      { from: 1, to: 4, sinceMs: 0 },
      { from: 6, to: 9, sinceMs: 0 },
    ]);
    expect(ledger.below(5).gaps).toEqual([{ from: 1, to: 4, sinceMs: 0 }]);
  });

  test('gives up what is over', () => {
    const ledger = empty.extended(1, 9, [2, 4, 6, 8], 0);
    const { ledger: left, retired } = ledger.retired(({ to }) => to > 6);
    expect(retired.map(({ from }) => from)).toEqual([7, 9]);
    expect(left.gaps.map(({ from }) => from)).toEqual([1, 3, 5]);
    expect(empty.retired(() => true)).toEqual({ ledger: empty, retired: [] });
  });

  test('of too many gaps it keeps the oldest and the newest', () => {
    const even = Array.from({ length: gapRangesMax + 5 }, (_, index) => index * 2 + 2);
    const { ledger, dropped } = empty.extended(1, even.length * 2, even, 0).bounded();
    expect(dropped).toBe(5);
    expect(ledger.gaps).toHaveLength(gapRangesMax);
    expect(ledger.gaps.slice(oldestGapsKept - 1, oldestGapsKept + 1).map(({ from }) => from)).toEqual([
      oldestGapsKept * 2 - 1,
      oldestGapsKept * 2 + 11,
    ]);
    expect(ledger.gaps.at(-1)?.from).toBe(even.length * 2 - 1);
    expect(ledger.bounded()).toEqual({ ledger, dropped: 0 });
  });
});
