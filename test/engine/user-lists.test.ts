/** Lists of who is where, put together and compared: against maps that say the same. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { listDifference, mergedLists } from '../../src/engine/user-lists.js';

type Rooms = Readonly<Record<number, readonly number[]>>;

const rooms = fc.dictionary(
  fc.integer({ min: 1, max: 8 }).map(String),
  fc.uniqueArray(fc.integer({ min: 0, max: 40 }), { minLength: 1, maxLength: 12 }),
);

function listOf(state: Rooms): Uint32Array {
  return Uint32Array.from(
    Object.entries(state).flatMap(([user, joined]) => [
      Number(user),
      joined.length,
      ...[...joined].sort((left, right) => left - right),
    ]),
  );
}

/** The pairs of a list. */
function pairsOf(state: Rooms): string[] {
  return Object.entries(state).flatMap(([user, joined]) => joined.map((room) => `${user} ${room}`));
}

test('shards own ascending rooms: their lists make one', () => {
  fc.assert(
    fc.property(
      rooms,
      fc.integer({ min: 0, max: 20 }),
      fc.integer({ min: 20, max: 40 }),
      (state, first, second) => {
        const between = (from: number, end: number): Rooms =>
          Object.fromEntries(
            Object.entries(state)
              .map(([user, joined]) => [user, joined.filter((room) => room >= from && room < end)] as const)
              .filter(([, joined]) => joined.length > 0),
          );
        const parts = [between(0, first), between(first, second), between(second, 100)].map(listOf);
        expect([...mergedLists(parts)]).toEqual([...listOf(state)]);
      },
    ),
  );
});

test('the difference makes the first list the second one, in order, and nothing else', () => {
  fc.assert(
    fc.property(rooms, rooms, (before, after) => {
      const changes = listDifference(listOf(before), listOf(after));
      const pairs = new Set(pairsOf(before));
      let last = -1;
      for (let at = 0; at < changes.length; at += 2) {
        const [user, word] = changes.subarray(at, at + 2);
        const key = user * 1000 + (word >>> 1);
        expect(key).toBeGreaterThan(last);
        last = key;
        const pair = `${user} ${word >>> 1}`;
        expect(pairs.has(pair)).toBe((word & 1) === 0);
        if ((word & 1) === 1) pairs.add(pair);
        else pairs.delete(pair);
      }
      expect([...pairs].sort()).toEqual(pairsOf(after).sort());
    }),
  );
});
