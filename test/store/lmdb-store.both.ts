/** Is the store on disk a store, does it fold while it takes changes, and does it stop where it was told to? */
import { randomBytes } from 'node:crypto';
import { readdirSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { foldingDebtMax } from '../../src/ingest/bounds.js';
import { loadEngine, statsOf, type Engine } from '../../src/engine/engine.js';
import { Ingest } from '../../src/ingest/ingest.js';
import { Directory } from '../../src/directory/directory.js';
import { draftOf } from './draft.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import type { StoreLimits } from '../../src/store/store-writer.js';
import { verifyStore } from '../../src/store/verify.js';
import { describeDurableStore, describeStore } from '../contract/store-contract.js';
import { NaiveIndex } from '../model/naive-index.js';
import { allIn, ids, joins, newFolder } from './kept-store.js';

const open = (directory: string): Promise<LmdbStore> => LmdbStore.open({ directory });
describeStore('on disk', open);
describeDurableStore('on disk', open);

interface Opened {
  readonly store: LmdbStore;
  readonly ingest: Ingest;
  readonly engine: Engine;
  close(): Promise<void>;
}

async function openIngest(directory: string, limits: Partial<StoreLimits>): Promise<Opened> {
  const store = await LmdbStore.open({ directory, limits });
  const engine = await loadEngine(store, { shards: 0, onProgress: () => undefined });
  const close = async (): Promise<void> => {
    await engine.shards.close();
    await store.close();
  };
  onTestFinished(close);
  return { store, engine, ingest: new Ingest(engine, store), close };
}

test('a new folder is made, for its owner alone, with nothing beside the store', async () => {
  const directory = join(newFolder(), 'deep', 'down');
  const store = await open(directory);
  onTestFinished(() => store.close());
  expect(readdirSync(directory).toSorted()).toEqual(['index.mdb', 'index.mdb-lock']);
  expect(statSync(directory).mode & 0o777).toBe(0o700);
  expect(statSync(store.path).mode & 0o777).toBe(0o600);
  expect(store.bytes).toBeGreaterThan(0);
});

test('a batch before the names are read is refused, since its numbers would be given twice', async () => {
  const store = await open(newFolder());
  onTestFinished(() => store.close());
  await expect(store.commit(draftOf(new Directory(), Uint32Array.of(1, 1)))).rejects.toMatchObject({
    code: 'UNAVAILABLE',
  });
});

test('at its bound it takes nothing more and says what to do; with a higher one it goes on', async () => {
  const directory = newFolder();
  const bounded = await openIngest(directory, { bytesMax: 2 ** 20 });
  const model = new NaiveIndex();
  let refused: unknown;
  for (let batch = 0; refused === undefined; batch += 1) {
    const changes = allIn([`@${batch}:x`], ids('!', randomBytes(300).toString('hex'), 40));
    try {
      await bounded.ingest.apply(changes);
      model.apply(changes);
    } catch (error) {
      refused = error;
    }
  }
  expect(refused).toMatchObject({
    code: 'FULL',
    message: expect.stringMatching(/store\.bytes_max .*: raise it, or run "mutual-rooms compact"/),
  });
  expect(model.count).toBeGreaterThan(40);
  expect((await bounded.engine.answerer.mutual(['@0:x'])).count).toBe(40);
  await bounded.close();
  const raised = await openIngest(directory, { bytesMax: 2 ** 30 });
  expect((await statsOf(raised.engine)).memberships).toBe(model.count);
  await raised.ingest.apply([joins('@more:x', '!r')]);
  await raised.close();
  await verifyStore(raised.store.path);
});

test.each([
  ['single changes, each awaited', 1, 1],
  ['single changes, 40 at a time', 40, 1],
  ['lists of 16', 8, 16],
  ['long lists', 3, 700],
])(
  '%s: what was put off is done while nobody waits, and what is not stays little',
  async (_, together, length) => {
    const opened = await openIngest(newFolder(), { recentChangesMax: 256 });
    const model = new NaiveIndex();
    let debtMost = 0;
    let folds = 0;
    let unfoldedMost = 0;
    const unfolded = async (): Promise<number> => (await verifyStore(opened.store.path)).recentChanges;
    for (let round = 0; round < 1200 / (together * length) + 12; round += 1) {
      const lists: Change[][] = Array.from({ length: together }, (_unused, list) =>
        Array.from({ length }, (_each, index) => ({
          userId: `@${(round * 7 + list) % 50}:x`,
          roomId: `!${(round * 31 + index) % 300}:x`,
          joined: (round + index) % 5 > 0,
        })),
      );
      // Lists of one turn are numbered in their order, so the model sees them as the store does.
      for (const list of lists) model.apply(list);
      await Promise.all(lists.map((list) => opened.ingest.apply(list)));
      debtMost = Math.max(debtMost, opened.store.debt);
      if (opened.store.debt > 0) folds += 1;
      if (round % 20 === 0) unfoldedMost = Math.max(unfoldedMost, await unfolded());
    }
    expect(folds, 'folding began').toBeGreaterThan(0);
    expect(debtMost).toBeLessThan(foldingDebtMax * 2);
    // A generation that is being folded, and one that is collected meanwhile, with the commit that filled it.
    expect(unfoldedMost).toBeLessThanOrEqual(2 * 256 + 2 * together * length);
    await expect.poll(() => opened.store.debt).toBe(0);
    await opened.close();
    await verifyStore(opened.store.path);
    const again = await openIngest(join(opened.store.path, '..'), {});
    for (let user = 0; user < 50; user += 1)
      expect((await again.engine.answerer.mutual([`@${user}:x`])).rooms.toSorted()).toEqual(
        model.roomsOf(`@${user}:x`),
      );
  },
);

test('a directory that has names already is not restored into', async () => {
  const store = await open(newFolder());
  onTestFinished(() => store.close());
  const directory = new Directory();
  await store.restoreNames(directory);
  directory.users.intern('@a:x');
  await store.commit(draftOf(directory, new Uint32Array(0)));
  await expect(store.restoreNames(directory)).rejects.toThrow();
});
