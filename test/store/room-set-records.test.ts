/** Are the stored room sets what the changes made them, in both forms and over the borders between these? */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { roomsPerRecordMax, roomsPerRecordMin } from '../../src/store/layout.js';
import type { Environment } from '../../src/store/lmdb.js';
import { RoomSetRecords } from '../../src/store/room-set-records.js';
import { seededRandom } from '../model/random.js';
import { roomAt } from '../sets/checked-sets.js';
import { Sets, hasParts, newEnvironment, recordsOf, wordsOfChanges } from './bare-store.js';

/** Records beside the plain sets; every fold is made to both. */
class CheckedRecords {
  readonly environment: Environment;
  readonly #records: RoomSetRecords;
  readonly #sets = new Sets();

  constructor() {
    this.environment = newEnvironment();
    this.#records = new RoomSetRecords(this.environment);
  }

  /** One fold of a user: rooms to join, and rooms to leave. */
  fold(user: number, joined: readonly number[], left: readonly number[] = []): void {
    const gone = new Set(left);
    const changes = [...new Set([...joined, ...left])]
      .sort((a, b) => a - b)
      .map((room) => ({ user, room, joined: !gone.has(room) }));
    this.#sets.apply(changes);
    // Among others, as a fold finds them.
    const padding = [1, 2, 3];
    const words = Uint32Array.from([
      ...padding,
      ...wordsOfChanges(changes).filter((_, index) => index % 2 === 1),
      ...padding,
    ]);
    const { environment } = this;
    environment.write(() => {
      this.#records.clear();
      this.#records.fold(user, words, padding.length, words.length - padding.length);
      const { memberships, users } = environment.getMeta('counts')!;
      environment.putMeta('counts', {
        memberships: memberships + this.#records.memberships,
        users: users + this.#records.users,
      });
    });
  }

  expectAll(): void {
    expect(recordsOf(this.environment)).toEqual(this.#sets.all);
  }
}

const rooms = (from: number, end: number): number[] =>
  Array.from({ length: end - from }, (_, index) => roomAt(from + index));

test('one room more than a record takes makes parts, and half of them one record again', () => {
  const checked = new CheckedRecords();
  const formAfter = (): string => {
    checked.expectAll();
    return hasParts(checked.environment, 7) ? 'parts' : 'record';
  };
  checked.fold(7, rooms(0, roomsPerRecordMax));
  expect(formAfter()).toBe('record');
  checked.fold(7, rooms(roomsPerRecordMax, roomsPerRecordMax + 1));
  expect(formAfter()).toBe('parts');
  // To and fro over that border moves nothing.
  checked.fold(7, [], [roomAt(3)]);
  expect(formAfter()).toBe('parts');
  checked.fold(7, [], rooms(roomsPerRecordMin + 1, roomsPerRecordMax + 1));
  expect(formAfter()).toBe('parts');
  checked.fold(7, [], [roomAt(5)]);
  expect(formAfter()).toBe('record');
  checked.fold(7, [roomAt(5), roomAt(3)]);
  expect(formAfter()).toBe('record');
  checked.fold(7, [], rooms(0, 1000));
  checked.expectAll();
  expect(checked.environment.users.get(7)).toBe(false);
});

test('from parts to nothing at once, and from nothing to parts', () => {
  const checked = new CheckedRecords();
  checked.fold(1, rooms(0, 3000));
  checked.expectAll();
  checked.fold(2, rooms(100, 500));
  checked.fold(1, [], rooms(0, 3000));
  checked.expectAll();
  expect(checked.environment.users.get(1)).toBe(false);
  expect(checked.environment.parts.count).toBe(64);
  checked.fold(1, rooms(0, roomsPerRecordMax + 1));
  checked.expectAll();
});

test('changes that change nothing, and leaves of what was never joined', () => {
  const checked = new CheckedRecords();
  checked.fold(4, [], rooms(0, 10));
  expect(checked.environment.users.get(4)).toBe(false);
  checked.fold(4, rooms(0, 5));
  checked.fold(4, rooms(0, 5), rooms(5, 9));
  checked.fold(5, rooms(0, 500));
  checked.fold(5, rooms(0, 500), rooms(500, 900));
  // Of a partition that has a part, and of one that has none.
  checked.fold(
    6,
    Array.from({ length: 300 }, (_, index) => index),
  );
  checked.fold(6, [], [7, 5 * 2 ** 25, 400]);
  checked.expectAll();
});

test('a partition of more rooms than an array container takes', () => {
  const checked = new CheckedRecords();
  const many = Array.from({ length: 9000 }, (_, index) => 3 * 2 ** 25 + index * 3);
  checked.fold(1, many);
  checked.fold(1, [many[0] + 1], many.slice(4000, 4010));
  checked.expectAll();
  checked.fold(1, [], many.slice(100));
  checked.expectAll();
});

test('neighbours of a user with parts keep theirs', () => {
  const checked = new CheckedRecords();
  // Numbers whose bytes would sort otherwise if they were written the other way round.
  const users = [1, 255, 256, 257, 65_535, 65_536, 2 ** 24, 2 ** 31 - 1];
  for (const user of users) checked.fold(user, rooms(user % 50, 300));
  for (const user of users.filter((_, index) => index % 2 === 0)) checked.fold(user, [], rooms(0, 290));
  checked.expectAll();
});

test('any sequence of folds', { timeout: 60_000 }, () => {
  const anyFold = fc.record({
    user: fc.constantFrom(1, 2, 300),
    from: fc.nat({ max: 400 }),
    count: fc.constantFrom(1, 2, 30, roomsPerRecordMin, roomsPerRecordMax, 500),
    share: fc.constantFrom(0, 10, 50, 90, 100),
    seed: fc.nat(),
  });
  fc.assert(
    fc.property(fc.array(anyFold, { minLength: 1, maxLength: 25 }), (folds) => {
      const checked = new CheckedRecords();
      for (const { user, from, count, share, seed } of folds) {
        const random = seededRandom(seed);
        const all = rooms(from, from + count);
        const left = all.filter(() => random(100) < share);
        checked.fold(user, all, left);
      }
      checked.expectAll();
    }),
    { numRuns: 60 },
  );
});
