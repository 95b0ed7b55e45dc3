/** Is a store of the format before opened, read, and carried over, with all that is in it? */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { Directory } from '../../src/directory/directory.js';
import { backupStore } from '../../src/store/backup.js';
import { compactStore } from '../../src/store/compact.js';
import { storeFileName, storeFormat } from '../../src/store/layout.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { lastCommit } from '../../src/store/read-recent.js';
import { verifyStore } from '../../src/store/verify.js';
import { draftOf } from './draft.js';
import { addTo, joins, membershipsOf, newFolder, within } from './kept-store.js';

/**
 * A store that version 0.1 with format 1 made: 39 commits, of which the first ones are folded and 29 changes are not, and the
 * cursor of a source.
 */
function storeOfFormat1(): string {
  const directory = newFolder();
  const packed = readFileSync(new URL('fixtures/format-1.mdb.gz', import.meta.url));
  writeFileSync(join(directory, storeFileName), gunzipSync(packed), { mode: 0o600 });
  return directory;
}

/** What that version exported. */
const memberships = readFileSync(new URL('fixtures/format-1.txt', import.meta.url), 'utf8')
  .trimEnd()
  .split('\n');

const formatOf = (directory: string): Promise<number | undefined> =>
  within(directory, (environment) => environment.getMeta('format')?.format);

test('it is read as it is, by who only reads', async () => {
  const directory = storeOfFormat1();
  const path = join(directory, storeFileName);
  expect(await membershipsOf(directory)).toEqual(memberships);
  expect(await verifyStore(path)).toMatchObject({ users: 12, rooms: 30, memberships: 50, recentChanges: 29 });
  const copy = newFolder();
  await backupStore(path, copy);
  expect(await membershipsOf(copy)).toEqual(memberships);
  expect([await formatOf(directory), await formatOf(copy)]).toEqual([1, 1]);
});

test('a server that opens it carries it over: same memberships, cursor and identity, and numbers that go on', async () => {
  const directory = storeOfFormat1();
  const before = await within(directory, (environment) => ({
    identity: environment.getMeta('identity'),
    last: environment.recent.lastKey()!,
  }));
  const store = await LmdbStore.open({ directory });
  onTestFinished(() => store.close());
  const names = new Directory();
  await store.restoreNames(names);
  expect(store.identity).toMatchObject({ epoch: before.identity!.epoch });
  expect([...store.identity.tokenKey]).toEqual([...before.identity!.tokenKey]);
  expect([...store.cursor('feed')!]).toEqual([29]);
  expect(store.last).toBe(before.last);
  expect(store.carriedFrom).toBe(1);
  expect(await store.commit(draftOf(names, new Uint32Array(0)))).toBe(before.last + 1);
  await store.close();
  expect(await formatOf(directory)).toBe(storeFormat);
  expect(await membershipsOf(directory)).toEqual(memberships);
  await addTo(directory, [joins('@new:x', '!new:x')]);
  expect(await membershipsOf(directory)).toEqual([...memberships, '@new:x !new:x'].toSorted());
  await verifyStore(join(directory, storeFileName));
});

test('a compaction carries it over, too, and numbers go on after it', async () => {
  const directory = storeOfFormat1();
  const before = await within(directory, (environment) => environment.recent.lastKey());
  await compactStore({ directory });
  expect(await formatOf(directory)).toBe(storeFormat);
  expect(await within(directory, (environment) => lastCommit(environment))).toBe(before);
  expect(await membershipsOf(directory)).toEqual(memberships);
  await verifyStore(join(directory, storeFileName));
});
