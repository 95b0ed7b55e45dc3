/** Is the store what was committed after every commit and every part of a fold, also one that was broken off? */
import { readNameCounts } from '../../src/store/name-blocks.js';
import { lastCommit } from '../../src/store/read-recent.js';
import type { Cursor } from '../../src/log/cursor.js';
import { draftOf } from './draft.js';
import { expect, describe, test } from 'vitest';
import { changesPerFoldMax } from '../../src/store/bounds.js';
import type { Environment } from '../../src/store/lmdb.js';
import type { StoreWriter } from '../../src/store/store-writer.js';
import { seededRandom, type Random } from '../model/random.js';
import { roomAt } from '../sets/checked-sets.js';
import {
  Sets,
  newEnvironment,
  newWriter,
  recentOf,
  recordsOf,
  stateOf,
  wordsOfChanges,
  type NumberedChange,
} from './bare-store.js';

const noWords = new Uint32Array(0);

function anyChanges(random: Random, count: number, users = 40): NumberedChange[] {
  return Array.from({ length: count }, () => ({
    // User 1 is in far more rooms than the others.
    user: random(2) === 0 ? 1 : 1 + random(users),
    room: roomAt(random(400)),
    joined: random(4) > 0,
  }));
}

/** A writer beside the plain sets. */
class CheckedWriter {
  readonly environment: Environment;
  writer: StoreWriter;
  readonly sets = new Sets();
  readonly #recentChangesMax: number;

  constructor(recentChangesMax: number) {
    this.environment = newEnvironment();
    this.#recentChangesMax = recentChangesMax;
    this.writer = newWriter(this.environment, recentChangesMax);
  }

  /** @returns its number */
  commit(changes: readonly NumberedChange[]): number {
    const number = this.write(wordsOfChanges(changes));
    this.sets.apply(changes);
    return number;
  }

  /** The same for words that may be none. */
  write(changes: Uint32Array, cursors: readonly Cursor[] = []): number {
    const names = { counts: () => readNameCounts(this.environment) };
    return this.writer.commit(draftOf(names, changes, cursors));
  }

  /** As after the end of the process: what it knew is gone. */
  reopen(): void {
    this.writer = newWriter(this.environment, this.#recentChangesMax);
  }

  /** Folds all that there is to fold now. @returns in how many parts */
  foldAll(changesMax = changesPerFoldMax): number {
    let parts = 0;
    for (; this.writer.debt > 0; parts += 1) this.writer.fold(changesMax);
    return parts;
  }

  async expectState(): Promise<void> {
    const state = await stateOf(this.environment);
    expect(state).toEqual(this.sets.all);
    expect(await stateOf(this.environment, 5)).toEqual(state);
    // Throws when a record is wrong by itself.
    recordsOf(this.environment);
  }
}

test('nothing is folded before a generation is full, and what is asked for is nothing then', async () => {
  const checked = new CheckedWriter(1000);
  for (let batch = 0; batch < 62; batch += 1) checked.commit(anyChanges(seededRandom(batch), 16));
  checked.writer.fold(changesPerFoldMax);
  expect([checked.writer.debt, recentOf(checked.environment).length]).toEqual([0, 62]);
  expect(recordsOf(checked.environment)).toEqual([]);
  await checked.expectState();
  checked.commit(anyChanges(seededRandom(62), 16));
  expect(checked.writer.debt).toBeGreaterThan(0);
});

test.each([1, 7, 100, changesPerFoldMax, 1_000_000])(
  'folded %i at a time, each part leaves the state as it was',
  async (changesMax) => {
    const checked = new CheckedWriter(600);
    const random = seededRandom(changesMax);
    while (checked.writer.debt === 0) checked.commit(anyChanges(random, 50));
    let parts = 0;
    for (; recentOf(checked.environment).length > 0; parts += 1) {
      checked.writer.fold(changesMax);
      if (changesMax >= 100 || parts % 40 === 0) await checked.expectState();
      if (parts > 2000) expect.fail('it does not end');
    }
    // All of one user at once, if they are more.
    expect(parts).toBeGreaterThan(Math.min(40, 600 / changesMax / 4));
    expect(recordsOf(checked.environment)).toEqual(checked.sets.all);
    await checked.expectState();
  },
);

test('commits between the parts of a fold come after it', async () => {
  const checked = new CheckedWriter(300);
  const random = seededRandom(4);
  for (let round = 0; round < 150; round += 1) {
    checked.commit(anyChanges(random, 1 + random(30)));
    if (random(2) === 0) checked.writer.fold(20 + random(50));
    if (round % 10 === 0) await checked.expectState();
  }
  await checked.expectState();
  expect(recordsOf(checked.environment).length).toBeGreaterThan(20);
});

test('many commits of one change each are a generation, too', async () => {
  const checked = new CheckedWriter(1024);
  let commits = 0;
  for (; checked.writer.debt === 0; commits += 1) checked.commit(anyChanges(seededRandom(commits), 1));
  expect(commits).toBe(64);
  checked.foldAll();
  await checked.expectState();
});

test('what is put off does not grow when as much is folded as is asked for', async () => {
  const checked = new CheckedWriter(256);
  const random = seededRandom(12);
  let most = 0;
  for (let round = 0; round < 120; round += 1) {
    checked.commit(anyChanges(random, 1 + random(200)));
    checked.foldAll();
    most = Math.max(most, recentOf(checked.environment).length);
  }
  expect(most).toBeLessThan(40);
  await checked.expectState();
});

test('while it is put off, changes are removed oldest first and only when all of them are folded', () => {
  const checked = new CheckedWriter(400);
  const random = seededRandom(9);
  while (checked.writer.debt === 0) checked.commit(anyChanges(random, 10));
  const all = recentOf(checked.environment);
  expect(all).toEqual(all.map((_, index) => index + 1));
  let seen = all;
  let removing = 0;
  while (seen.length > 0) {
    checked.writer.fold(9);
    const now = recentOf(checked.environment);
    expect(now).toEqual(all.slice(all.length - now.length));
    if (now.length < all.length) {
      removing += 1;
      expect(recordsOf(checked.environment)).toEqual(checked.sets.all);
    }
    seen = now;
  }
  expect(removing).toBeGreaterThan(2);
});

describe('broken off', () => {
  /** Makes the n-th write of a kind fail, as a disk would. */
  function breakAfter(
    environment: Environment,
    table: 'users' | 'parts' | 'recent',
    writes: number,
  ): () => void {
    const broken = environment[table] as { put: unknown; remove: unknown };
    let left = writes;
    const failing =
      (name: 'put' | 'remove') =>
      (...args: unknown[]): void => {
        if (left === 0) throw new Error('the disk broke');
        left -= 1;
        const own = Object.getPrototypeOf(broken) as Record<string, (...all: unknown[]) => void>;
        own[name].apply(broken, args);
      };
    broken.put = failing('put');
    broken.remove = failing('remove');
    return () => {
      delete broken.put;
      delete broken.remove;
    };
  }

  test.each([
    ['users', 0],
    ['users', 1],
    ['users', 17],
    ['parts', 0],
    ['parts', 30],
    ['recent', 0],
    ['recent', 3],
  ] as const)('in %s after %i writes: nothing is changed, and it is done again', async (table, writes) => {
    for (const isReopened of [false, true]) {
      const checked = new CheckedWriter(1400);
      const random = seededRandom(writes);
      while (checked.writer.debt === 0) checked.commit(anyChanges(random, 140));
      let failed = 0;
      // Until the first generation is folded.
      for (let part = 0; recentOf(checked.environment)[0] === 1; part += 1) {
        const before = { records: recordsOf(checked.environment), recent: recentOf(checked.environment) };
        // A few times: a process that dies in each fold would never come to the end.
        const repair = breakAfter(checked.environment, table, failed < 4 ? writes : Infinity);
        let error: unknown;
        try {
          checked.writer.fold(900);
        } catch (thrown) {
          error = thrown;
        }
        repair();
        if (error === undefined) continue;
        failed += 1;
        expect(error).toMatchObject({ message: 'the disk broke' });
        expect(recordsOf(checked.environment)).toEqual(before.records);
        expect(recentOf(checked.environment)).toEqual(before.recent);
        await checked.expectState();
        if (isReopened) checked.reopen();
        // Whoever changes memberships meanwhile is not held up.
        checked.commit(anyChanges(random, 5));
        checked.writer.fold(60);
        if (part > 60) expect.fail('it does not end');
      }
      expect(failed).toBeGreaterThan(0);
      checked.foldAll();
      await checked.expectState();
    }
  });

  test('by the end of the process: the next one begins anew, and nothing is lost', async () => {
    const checked = new CheckedWriter(200);
    const random = seededRandom(77);
    for (let life = 0; life < 25; life += 1) {
      for (let commit = random(6); commit > 0; commit -= 1)
        checked.commit(anyChanges(random, 1 + random(80)));
      for (let parts = random(5); parts > 0; parts -= 1) checked.writer.fold(1 + random(90));
      checked.reopen();
      await checked.expectState();
    }
    expect(recordsOf(checked.environment).length).toBeGreaterThan(20);
  });

  test('a commit that fails leaves no change, name or cursor, and its number is used again', async () => {
    const checked = new CheckedWriter(1000);
    checked.commit(anyChanges(seededRandom(1), 10));
    const repair = breakAfter(checked.environment, 'recent', 0);
    const cursors = [{ source: 'feed', value: Uint8Array.of(1) }];
    expect(() => checked.write(Uint32Array.of(1, 1), cursors)).toThrow('the disk broke');
    repair();
    expect(recentOf(checked.environment)).toEqual([1]);
    expect(checked.environment.getBytes('cursor:feed')).toBeUndefined();
    checked.commit(anyChanges(seededRandom(2), 10));
    expect(recentOf(checked.environment)).toEqual([1, 2]);
    await checked.expectState();
  });
});

test('once somebody else has opened the store, neither commits nor folds write anything', async () => {
  const checked = new CheckedWriter(100);
  while (checked.writer.debt === 0) checked.commit(anyChanges(seededRandom(3), 30));
  const { environment } = checked;
  const before = { records: recordsOf(environment), recent: recentOf(environment) };
  environment.write(() =>
    environment.putMeta('owner', { instance: 'b', host: 'elsewhere', pid: 77, started: '' }),
  );
  for (const write of [
    () => checked.writer.fold(100),
    () => checked.write(Uint32Array.of(1, 1)),
    () => checked.write(noWords, [{ source: 'feed', value: Uint8Array.of(1) }]),
  ])
    expect(write).toThrow(/process 77 on elsewhere has opened .* since/);
  expect({ records: recordsOf(environment), recent: recentOf(environment) }).toEqual(before);
  expect(environment.getBytes('cursor:feed')).toBeUndefined();
  await checked.expectState();
});

test('a commit without changes has a number, and its cursor is kept', () => {
  const checked = new CheckedWriter(100);
  expect(checked.write(noWords, [{ source: 'feed', value: Uint8Array.of(8) }])).toBe(1);
  expect(recentOf(checked.environment)).toEqual([1]);
  expect([...checked.environment.getBytes('cursor:feed')!]).toEqual([8]);
});

test('changes are taken from their place in a larger array', async () => {
  const checked = new CheckedWriter(100);
  const change = { user: 5, room: roomAt(9), joined: true };
  const words = Uint32Array.from([9, 9, ...wordsOfChanges([change]), 9, 9]);
  checked.write(words.subarray(2, 4));
  checked.sets.apply([change]);
  await checked.expectState();
});

test('numbers ascend by one over folds, generations, sorted commits and starts', async () => {
  const checked = new CheckedWriter(64);
  const random = seededRandom(4);
  let expected = 1;
  for (let round = 0; round < 40; round += 1) {
    for (let batch = random(4); batch >= 0; batch -= 1)
      expect(checked.commit(anyChanges(random, random(3) * 20))).toBe(expected++);
    if (random(2) === 0) checked.foldAll();
    if (random(3) === 0) checked.reopen();
    expect(lastCommit(checked.environment)).toBe(expected - 1);
    // The tail ends with the last commit, and has none left out.
    const tail = recentOf(checked.environment);
    expect(tail).toEqual(tail.map((_, index) => expected - tail.length + index));
  }
  checked.foldAll();
  await checked.expectState();
});

test('a sorted commit that is folded at once takes a number, and removes commits without changes before it', async () => {
  const checked = new CheckedWriter(100);
  const changes = [1, 2, 3].map((user) => ({ user, room: roomAt(user), joined: true }));
  const sorted = {
    ...draftOf({ counts: () => readNameCounts(checked.environment) }, wordsOfChanges(changes)),
    isSorted: true,
  };
  expect([checked.write(noWords), checked.write(noWords)]).toEqual([1, 2]);
  expect(checked.writer.commit(sorted)).toBe(3);
  checked.sets.apply(changes);
  expect([recentOf(checked.environment), lastCommit(checked.environment)]).toEqual([[], 3]);
  checked.reopen();
  expect(checked.commit(changes)).toBe(4);
  await checked.expectState();
});
