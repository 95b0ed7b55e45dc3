/** Do collected changes come out by user and room, each once, with what was said last? */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { RecentChanges } from '../../src/store/recent-changes.js';
import { wordsOfChanges, type NumberedChange } from './bare-store.js';

const roomMax = 2 ** 31 - 2;

function allOf(changes: RecentChanges): { user: number; room: number; joined: boolean }[] {
  return Array.from({ length: changes.bucketCount }, (_, bucket) => changes.sorted(bucket)).flatMap(
    ({ users, words }) =>
      Array.from(users, (user, index) => ({
        user,
        room: Math.floor(words[index] / 2),
        joined: words[index] % 2 === 1,
      })),
  );
}

/** The last change of each user and room, ascending. */
function expectedOf(changes: readonly NumberedChange[]): NumberedChange[] {
  const last = new Map(changes.map((change) => [`${change.user} ${change.room}`, change]));
  return [...last.values()].sort((left, right) => left.user - right.user || left.room - right.room);
}

const anyChange = (userMax: number): fc.Arbitrary<NumberedChange> =>
  fc.record({
    user: fc.oneof(fc.integer({ min: 1, max: 8 }), fc.integer({ min: 1, max: userMax })),
    room: fc.oneof(
      fc.nat({ max: 4 }),
      fc.constantFrom(roomMax, roomMax - 1, 2 ** 30),
      fc.nat({ max: roomMax }),
    ),
    joined: fc.boolean(),
  });

test.each([
  [0, 400],
  [1, 400],
  [1024, 2000],
  [1025, 5000],
  [100_000, 150_000],
  // Buckets as wide as they get, so that a user and a room make the largest numbers.
  [2 ** 31 - 1, 2 ** 31 - 1],
])('made for %i users, with users up to %i', (userCount, userMax) => {
  fc.assert(
    fc.property(fc.array(fc.array(anyChange(userMax), { maxLength: 40 }), { maxLength: 6 }), (batches) => {
      const recent = new RecentChanges(userCount);
      for (const batch of batches) recent.add(wordsOfChanges(batch));
      expect(recent.count).toBe(batches.flat().length);
      expect(allOf(recent)).toEqual(expectedOf(batches.flat()));
      const buckets = Array.from({ length: recent.bucketCount }, (_, bucket) => recent.countIn(bucket));
      expect(buckets.reduce((sum, count) => sum + count, 0)).toBe(recent.count);
    }),
    { numRuns: 60 },
  );
});

test('the last one wins, in one batch and over batches', () => {
  const recent = new RecentChanges(10);
  const say = (joined: boolean): NumberedChange => ({ user: 3, room: 9, joined });
  recent.add(wordsOfChanges([say(true), say(false)]));
  expect(allOf(recent)).toEqual([say(false)]);
  recent.add(wordsOfChanges([say(true)]));
  expect(allOf(recent)).toEqual([say(true)]);
  recent.add(wordsOfChanges([say(false), say(true), say(false)]));
  expect(allOf(recent)).toEqual([say(false)]);
  expect(recent.count).toBe(6);
});

test('users of as many buckets as there should be, and a bucket that was dropped is empty', () => {
  const recent = new RecentChanges(1_000_000);
  const changes = Array.from({ length: 1000 }, (_, index) => ({
    user: index * 1000 + 1,
    room: index,
    joined: true,
  }));
  recent.add(wordsOfChanges(changes));
  expect(recent.bucketCount).toBeGreaterThan(500);
  expect(recent.bucketCount).toBeLessThanOrEqual(1024);
  const inFirst = recent.countIn(0);
  expect(inFirst).toBeGreaterThan(0);
  recent.drop(0);
  expect(recent.countIn(0)).toBe(0);
  expect(allOf(recent)).toEqual(changes.slice(inFirst));
});
