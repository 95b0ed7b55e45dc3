/** Is all that a replacement was given there at its end, and nothing of it before? In the engine, and in the store that it leaves. */
import { join } from 'node:path';
import { afterEach, describe, expect, onTestFinished, test } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { PublicError } from '../../src/base/errors.js';
import { loadEngine, statsOf, type Engine } from '../../src/engine/engine.js';
import { Ingest } from '../../src/ingest/ingest.js';
import { ShadowReplacement, type ReplacementBounds } from '../../src/ingest/shadow-replacement.js';
import { storeFileName } from '../../src/store/layout.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import type { Store } from '../../src/store/store.js';
import { verifyStore } from '../../src/store/verify.js';
import { NaiveIndex } from '../model/naive-index.js';
import { seededRandom } from '../model/random.js';
import { runs } from '../runs.js';
import { newFolder } from '../store/kept-store.js';

const users = 9_000;
const cursors = { unfinished: Uint8Array.of(0), finished: Uint8Array.of(1) };

/** Joins, some of them twice. @param share of a hundred that this seed does not share with the others */
function joinsOf(seed: number, count: number, share: number): Change[] {
  const common = seededRandom(1);
  const own = seededRandom(seed);
  return Array.from({ length: count }, () => {
    const random = common(100) < share ? own : common;
    return { userId: `@${random(users)}:x`, roomId: `!${random(300)}:x`, joined: true };
  });
}

function modelOf(joins: readonly Change[]): NaiveIndex {
  const model = new NaiveIndex();
  model.apply(joins);
  return model;
}

interface Kept {
  readonly engine: Engine;
  readonly ingest: Ingest;
  readonly store: Store;
}

const opened: { close(): Promise<void> }[] = [];
afterEach(async () => {
  for (const each of opened.splice(0).reverse()) await each.close();
});

async function keep(store: Store, shards: number): Promise<Kept> {
  const engine = await loadEngine(store, { shards, onProgress: () => undefined });
  opened.push(store, engine.shards);
  return { engine, ingest: new Ingest(engine, store), store };
}

async function replaceBy({ engine, ingest }: Kept, bounds?: ReplacementBounds): Promise<ShadowReplacement> {
  const replacement = await ShadowReplacement.begin('feed', engine, ingest, bounds);
  onTestFinished(() => replacement.close());
  return replacement;
}

async function expectState({ engine }: Kept, model: NaiveIndex): Promise<void> {
  expect((await statsOf(engine)).memberships).toBe(model.count);
  const asked = Array.from({ length: Math.ceil(users / 7) }, (_, index) => `@${index * 7}:x`);
  // Many together, since each question alone waits for the threads.
  for (let at = 0; at < asked.length; at += 50) {
    const together = asked.slice(at, at + 50);
    const answers = await Promise.all(together.map((userId) => engine.answerer.mutual([userId])));
    expect(answers.map(({ rooms }) => rooms.toSorted())).toEqual(
      together.map((userId) => model.roomsOf(userId)),
    );
  }
}

const small = { changesAtOnceMax: 5_000, changesPerReplacementCommit: 700, joinsPerNamesCommit: 3_000 };

describe.each(runs([0, 1], [0, 1, 3]))('%i shards', (shards) => {
  test.each([
    ['at once', undefined],
    ['in parts', small],
  ])('takes the place of what was there, %s, in the store too', async (_, bounds) => {
    const directory = newFolder();
    const kept = await keep(await LmdbStore.open({ directory }), shards);
    const old = joinsOf(2, 20_000, 40);
    await kept.ingest.apply(old);
    await kept.ingest.apply([], { source: 'feed', value: Uint8Array.of(9) });
    const next = joinsOf(3, 24_000, 40);
    const replacement = await replaceBy(kept, bounds);
    for (let at = 0; at < next.length; at += 1_000) await replacement.add(next.slice(at, at + 1_000));
    await expectState(kept, modelOf(old));
    expect([...(kept.store.cursor('feed') ?? [])]).toEqual([9]);
    const { joined, left } = await replacement.finish(cursors);
    expect(joined).toBeGreaterThan(5_000);
    expect(left).toBeGreaterThan(5_000);
    expect(joined - left).toBe(modelOf(next).count - modelOf(old).count);
    await expectState(kept, modelOf(next));
    expect([...(kept.store.cursor('feed') ?? [])]).toEqual([1]);
    const { epoch } = kept.store.identity;
    await kept.engine.shards.close();
    await kept.store.close();
    expect(await verifyStore(join(directory, storeFileName))).toMatchObject({
      memberships: modelOf(next).count,
    });
    const again = await keep(await LmdbStore.open({ directory }), 0);
    expect(again.store.identity.epoch).toBe(epoch);
    await expectState(again, modelOf(next));
  });
});

test.each([0, 1])(
  'with %i shards no question sees a part of a difference that is made at once',
  async (shards) => {
    const kept = await keep(new MemoryStore(), shards);
    const everywhere = (roomId: string): Change[] =>
      Array.from({ length: 20_000 }, (_, user) => ({ userId: `@${user}:x`, roomId, joined: true }));
    await kept.ingest.apply(everywhere('!old:x'));
    const replacement = await replaceBy(kept);
    await replacement.add(everywhere('!new:x'));
    let isFinished = false;
    const finishing = replacement.finish(cursors).finally(() => (isFinished = true));
    const seen = new Set<string>();
    const ask = async (): Promise<void> => {
      // The last user first: changes go by ascending user.
      const answers = ['@19999:x', '@0:x'].map((userId) => kept.engine.answerer.mutual([userId]));
      const [late, early] = await Promise.all(answers);
      seen.add(`${late.rooms.join()} ${early.rooms.join()}`);
    };
    while (!isFinished) {
      await ask();
      await new Promise((resolve) => setImmediate(resolve));
    }
    await finishing;
    await ask();
    expect([...seen]).toEqual(['!old:x !old:x', '!new:x !new:x']);
  },
);

describe('bounds and failures', () => {
  test('a small difference is one commit, with the cursor; a large one says unfinished until its last part', async () => {
    for (const [bounds, commits] of [
      [{ ...small, changesAtOnceMax: 1_000_000 }, 1],
      // Parts end where a step over the users does.
      [small, 3],
    ] as const) {
      const store = new RecordedStore();
      const kept = await keep(store, 0);
      const replacement = await replaceBy(kept, bounds);
      await replacement.add(joinsOf(2, 12_000, 0));
      store.cursors.length = 0;
      await replacement.finish(cursors);
      expect(store.cursors.length).toBeGreaterThanOrEqual(commits);
      expect(store.cursors.at(-1)).toBe('finished');
      if (commits === 1) expect(store.cursors).toEqual(['finished']);
      else expect(store.cursors[0]).toBe('unfinished');
      expect(store.cursors.filter((cursor) => cursor === 'finished')).toHaveLength(1);
    }
  });

  test('names are stored while joins come, not all with the first change', async () => {
    const store = new RecordedStore();
    const kept = await keep(store, 0);
    const replacement = await replaceBy(kept, small);
    for (const part of [2, 3, 4]) await replacement.add(joinsOf(part, 3_000, 100));
    expect(store.cursors).toHaveLength(3);
  });

  test('one that is not finished leaves what was there', async () => {
    const kept = await keep(new MemoryStore(), 1);
    await kept.ingest.apply(joinsOf(2, 3_000, 0));
    const replacement = await replaceBy(kept);
    await replacement.add(joinsOf(3, 3_000, 100));
    await replacement.close();
    await expectState(kept, modelOf(joinsOf(2, 3_000, 0)));
  });

  test('a store that takes nothing makes it fail', async () => {
    const store = new RecordedStore();
    const kept = await keep(store, 0);
    const replacement = await replaceBy(kept, small);
    await replacement.add(joinsOf(2, 2_000, 0));
    store.failure = 'the disk is full';
    await expect(replacement.finish(cursors)).rejects.toThrow(PublicError);
    expect((await statsOf(kept.engine)).memberships).toBe(0);
  });

  test('an empty one empties', async () => {
    const kept = await keep(new MemoryStore(), 3);
    await kept.ingest.apply(joinsOf(2, 3_000, 0));
    const replacement = await replaceBy(kept);
    expect(await replacement.finish(cursors)).toEqual({
      joined: 0,
      left: modelOf(joinsOf(2, 3_000, 0)).count,
    });
    expect((await statsOf(kept.engine)).memberships).toBe(0);
  });
});

/** What was committed with which cursor, in order. */
class RecordedStore extends MemoryStore {
  readonly cursors: string[] = [];

  override async commit(batch: Parameters<MemoryStore['commit']>[0]): Promise<number> {
    const number = await super.commit(batch);
    const value = batch.cursors.at(0)?.value[0];
    this.cursors.push(value === undefined ? 'none' : value === 1 ? 'finished' : 'unfinished');
    return number;
  }
}
