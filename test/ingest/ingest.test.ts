/** Do batches take effect one after another, in order, within bounds, whatever becomes of the one before? */
import { setImmediate } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { changesPerCommitMax, ingestWaitingMax, shortListMax } from '../../src/ingest/bounds.js';
import { changesPerFoldMin } from '../../src/store/bounds.js';
import { changesPerTaskMax } from '../../src/engine/bounds.js';
import { openEngine, type Engine } from '../../src/engine/engine.js';
import { Ingest } from '../../src/ingest/ingest.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import type { Store } from '../../src/store/store.js';
import { NaiveIndex } from '../model/naive-index.js';
import { seededRandom } from '../model/random.js';

describe.each([0, 2])('shards: %i', (shards) => {
  let engine: Engine;
  let ingest: Ingest;
  beforeAll(async () => {
    engine = await openEngine({ shards });
    ingest = new Ingest(engine, new MemoryStore());
  });
  afterAll(async () => engine.shards.close());

  function changes(userId: string, count: number, joined = true): Change[] {
    return Array.from({ length: count }, (_, index) => ({ userId, roomId: `!${index}:x`, joined }));
  }

  test('answers count what changed something, and what did not', async () => {
    expect(await ingest.apply([...changes('@counted:x', 10), ...changes('@counted:x', 4)])).toEqual({
      applied: 10,
      ignored: 4,
    });
    expect(await ingest.apply(changes('@counted:x', 12))).toEqual({ applied: 2, ignored: 10 });
    expect(await ingest.apply(changes('@counted:x', 3, false))).toEqual({ applied: 3, ignored: 0 });
    expect(await ingest.apply(changes('@stranger:x', 3, false))).toEqual({ applied: 0, ignored: 3 });
    expect(await ingest.apply([])).toEqual({ applied: 0, ignored: 0 });
  });

  test('every question asked after the answer sees the changes', async () => {
    for (let round = 0; round < 30; round += 1) {
      await ingest.apply(changes('@seen:x', 5, round % 2 === 0));
      expect((await engine.answerer.mutual(['@seen:x'])).count).toBe(round % 2 === 0 ? 5 : 0);
    }
  });

  test('callers that do not wait for each other keep their order', async () => {
    const oracle = new NaiveIndex();
    const random = seededRandom(shards);
    const settled: number[] = [];
    const answers = Array.from({ length: ingestWaitingMax }, async (_, batch) => {
      // Of few rooms and users, so that batches undo each other; some are larger than one task.
      const list = Array.from({ length: batch % 9 === 0 ? changesPerTaskMax * 2 : 50 }, () => ({
        userId: `@${random(4)}:ordered`,
        roomId: `!${random(30)}:ordered`,
        joined: random(2) === 0,
      }));
      const expected = oracle.apply(list);
      expect(await ingest.apply(list), `batch ${batch}`).toEqual(expected);
      settled.push(batch);
    });
    await Promise.all(answers);
    expect(settled).toEqual(answers.map((_, batch) => batch));
    for (const user of [0, 1, 2, 3].map((each) => `@${each}:ordered`)) {
      expect((await engine.answerer.mutual([user])).rooms.sort()).toEqual(oracle.roomsOf(user));
    }
  });

  test('a batch that fails does not stop the next, and leaves nothing behind', async () => {
    const bad = [...changes('@half:x', 5), { userId: '@half:x', roomId: '', joined: true }];
    const [before, failed, after, failedToo, last] = await Promise.allSettled([
      ingest.apply(changes('@next:x', 3)),
      ingest.apply(bad),
      ingest.apply(changes('@next:x', 5)),
      ingest.apply(bad),
      ingest.apply(changes('@next:x', 1, false)),
    ]);
    expect(before).toMatchObject({ value: { applied: 3, ignored: 0 } });
    expect(failed).toMatchObject({ status: 'rejected', reason: { code: 'INVALID' } });
    expect(after).toMatchObject({ value: { applied: 2, ignored: 3 } });
    expect(failedToo).toMatchObject({ status: 'rejected', reason: { code: 'INVALID' } });
    expect(last).toMatchObject({ value: { applied: 1, ignored: 0 } });
    expect((await engine.answerer.mutual(['@half:x'])).count).toBe(0);
    expect((await engine.answerer.mutual(['@next:x'])).count).toBe(4);
  });

  test('beyond ingestWaitingMax waiting batches the next is refused, and there is room again later', async () => {
    const waiting = Array.from({ length: ingestWaitingMax }, async (_, batch) =>
      ingest.apply(changes(`@${batch}:waits`, 1)),
    );
    await expect(ingest.apply(changes('@refused:x', 1))).rejects.toMatchObject({
      code: 'OVERLOADED',
      retryAfterSeconds: 1,
    });
    expect(await Promise.all(waiting)).toEqual(waiting.map(() => ({ applied: 1, ignored: 0 })));
    expect((await engine.answerer.mutual(['@refused:x'])).count).toBe(0);
    // A batch that fails gives its place back too.
    const bad = [{ userId: '', roomId: '!0:x', joined: true }];
    await Promise.allSettled(Array.from({ length: ingestWaitingMax }, async () => ingest.apply(bad)));
    expect(await ingest.apply(changes('@refused:x', 1))).toEqual({ applied: 1, ignored: 0 });
  });
});

test('an engine that is closed refuses the changes', async () => {
  const engine = await openEngine();
  const ingest = new Ingest(engine, new MemoryStore());
  await engine.shards.close();
  const change = { userId: '@alice:x', roomId: '!tea:x', joined: true };
  await expect(ingest.apply([change])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
});

describe('a long list among short ones that never pause', () => {
  /** Counts commits, and has so much put off. */
  function countingStore(debt: number): { store: Store; commits: () => number } {
    const memory = new MemoryStore();
    let commits = 0;
    let left = debt;
    const store: Store = {
      identity: memory.identity,
      path: undefined,
      state: undefined,
      lostTo: undefined,
      failure: undefined,
      bytes: 0,
      get last() {
        return commits;
      },
      cursor: () => undefined,
      restoreNames: async () => undefined,
      commit: async () => {
        await setImmediate();
        commits += 1;
        return commits;
      },
      get debt() {
        return left;
      },
      settle: async () => void (left = Math.max(0, left - changesPerFoldMin)),
      close: async () => undefined,
    };
    return { store, commits: () => commits };
  }

  /** @returns how many commits there are before the list is applied */
  async function commitsBefore(debt: number): Promise<number> {
    const engine = await openEngine();
    const { store, commits } = countingStore(debt);
    const ingest = new Ingest(engine, store);
    let isOver = false;
    const list = (length: number): Change[] =>
      Array.from({ length }, (_, index) => ({ userId: `@${index}:x`, roomId: '!tea:x', joined: true }));
    // A commit has no room beside one of them.
    const streams = Array.from({ length: 8 }, async () => {
      for (let made = 0; !isOver && made < 500; made += 1) await ingest.apply(list(shortListMax));
    });
    await ingest.apply(list(changesPerCommitMax));
    isOver = true;
    await Promise.all(streams);
    const counted = commits();
    await engine.shards.close();
    return counted;
  }

  test('goes with them', async () => {
    expect(await commitsBefore(0)).toBeLessThan(10);
  });

  test('waits for what was put off, and no longer', async () => {
    expect(await commitsBefore(20 * changesPerFoldMin)).toBeLessThan(40);
  });
});
