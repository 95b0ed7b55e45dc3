/** Does one process write a store and no other, whoever comes, goes or is killed? */
import { renameSync, rmSync } from 'node:fs';
import { hostname } from 'node:os';
import { join } from 'node:path';
import { describe, expect, onTestFinished, test } from 'vitest';
import { backupStore } from '../../src/store/backup.js';
import { storeFileName, type StoredOwner } from '../../src/store/layout.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { checkOwner, openOwned, release } from '../../src/store/owner.js';
import { verifyStore } from '../../src/store/verify.js';
import { KeptStore, addTo, joins, membershipsOf, newFolder, storeOf, within } from './kept-store.js';
import { OtherProcess } from './other-process.js';

const ownerOf = (directory: string): Promise<StoredOwner | undefined> =>
  within(directory, (environment) => environment.getMeta('owner'));

test('a second process is refused and told by whom; the first one goes on', async () => {
  const directory = newFolder();
  const other = await OtherProcess.open(directory);
  expect(await other.commit('@a:x', '!r')).toBe('committed');
  const before = await ownerOf(directory);
  expect(before).toMatchObject({ pid: other.child.pid, host: hostname() });
  for (let again = 0; again < 2; again += 1) {
    await expect(LmdbStore.open({ directory })).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(
        new RegExp(`is in use by process ${other.child.pid}: stop that, or give each server a data_dir`),
      ),
    });
    expect(await ownerOf(directory)).toEqual(before);
  }
  expect(await other.commit('@b:x', '!r')).toBe('committed');
  expect(await other.close()).toBe(0);
  expect(await ownerOf(directory)).toBeUndefined();
  await addTo(directory, [joins('@c:x', '!r')]);
  expect(await membershipsOf(directory)).toEqual(['@a:x !r', '@b:x !r', '@c:x !r']);
});

test('a store in this process is not opened twice either', async () => {
  const directory = newFolder();
  const kept = await KeptStore.open(directory);
  onTestFinished(() => kept.close());
  await expect(LmdbStore.open({ directory })).rejects.toThrow(`is in use by process ${process.pid}`);
  await kept.commit([joins('@a:x', '!r')]);
});

test('a killed owner is taken over, with all that it committed', async () => {
  const directory = newFolder();
  const other = await OtherProcess.open(directory);
  expect(await other.commit('@a:x', '!r')).toBe('committed');
  await other.end('SIGKILL');
  expect(await ownerOf(directory)).toMatchObject({ pid: other.child.pid });
  await addTo(directory, [joins('@b:x', '!r')]);
  expect(await ownerOf(directory)).toBeUndefined();
  expect(await membershipsOf(directory)).toEqual(['@a:x !r', '@b:x !r']);
});

test('a paused owner that somebody took for dead writes nothing any more, and says why', async () => {
  const directory = newFolder();
  const other = await OtherProcess.open(directory);
  expect(await other.commit('@a:x', '!r')).toBe('committed');
  // From another container its number means nothing: there it looks like an owner of another machine.
  await within(directory, (environment) =>
    environment.write(() => {
      const owner = environment.getMeta('owner')!;
      environment.putMeta('owner', { ...owner, host: 'another machine' });
    }),
  );
  const kept = await KeptStore.open(directory);
  await kept.commit([joins('@b:x', '!r')]);
  for (let again = 0; again < 2; again += 1) {
    expect(await other.commit('@lost:x', '!lost')).toMatch(
      new RegExp(
        `^UNAVAILABLE process ${process.pid} on .* has opened .* since: only one server may have it`,
      ),
    );
  }
  await kept.commit([joins('@c:x', '!r')]);
  // Nor does its end take the store from the one that has it now.
  expect(await other.close()).toBe(0);
  await kept.commit([joins('@d:x', '!r')]);
  await kept.close();
  expect(await membershipsOf(directory)).toEqual(['@a:x !r', '@b:x !r', '@c:x !r', '@d:x !r']);
  expect((await verifyStore(kept.path)).users).toBe(4);
});

/** The one who owned it last, changed a little. */
test.each<[string, (owner: StoredOwner) => StoredOwner, boolean]>([
  ['this very process', (owner) => owner, true],
  ['one of its number that was started at another time', (owner) => ({ ...owner, started: '1' }), false],
  ['one of another machine', (owner) => ({ ...owner, host: `${owner.host}-2` }), false],
  ['one that is not there', (owner) => ({ ...owner, pid: 2 ** 22 + 1 }), false],
])('the last owner is %s', async (_, change, isRefused) => {
  const directory = await storeOf([joins('@a:x', '!r')]);
  const path = join(directory, storeFileName);
  const first = await openOwned(path, 'first', () => undefined);
  first.write(() => first.putMeta('owner', change(first.getMeta('owner')!)));
  await first.close();
  const opening = openOwned(path, 'second', () => undefined);
  if (isRefused) {
    await expect(opening).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect((await ownerOf(directory))?.instance).toBe('first');
  } else {
    const second = await opening;
    second.write(() => checkOwner(second, 'second'));
    expect(() => second.write(() => checkOwner(second, 'first'))).toThrow(/has opened .* since/);
    release(second, 'first');
    second.write(() => checkOwner(second, 'second'));
    release(second, 'second');
    await second.close();
    expect(await ownerOf(directory)).toBeUndefined();
  }
});

test('what is not ours is not owned', async () => {
  const directory = await storeOf([joins('@a:x', '!r')]);
  const path = join(directory, storeFileName);
  const opening = openOwned(path, 'first', () => {
    throw new Error('another format');
  });
  await expect(opening).rejects.toThrow('another format');
  expect(await ownerOf(directory)).toBeUndefined();
});

describe('where nothing says when a process was started', () => {
  const unknown = { startOf: () => '' };

  test('a living owner is refused all the same, with a way out', async () => {
    const directory = await storeOf([joins('@a:x', '!r')]);
    const path = join(directory, storeFileName);
    const other = await OtherProcess.open(directory);
    await expect(openOwned(path, 'second', () => undefined, unknown)).rejects.toMatchObject({
      code: 'UNAVAILABLE',
      message: expect.stringMatching(
        new RegExp(`in use by process ${other.child.pid}: .*mutual-rooms backup`),
      ) as string,
    });
    expect(await other.commit('@b:x', '!r')).toBe('committed');
    await other.close();
  });

  test('a copy has no owner, and one that has ended owns nothing', async () => {
    const directory = newFolder();
    const other = await OtherProcess.open(directory);
    const copy = join(newFolder(), 'copy');
    await backupStore(join(directory, storeFileName), copy);
    await other.end('SIGKILL');
    for (const each of [copy, directory]) {
      const opened = await openOwned(join(each, storeFileName), 'next', () => undefined, unknown);
      opened.write(() => checkOwner(opened, 'next'));
      release(opened, 'next');
      await opened.close();
    }
  });
});

describe('a store that is not at its path any more takes nothing:', () => {
  test('moved away, until it is put back', async () => {
    const directory = newFolder();
    const kept = await KeptStore.open(directory);
    await kept.commit([joins('@a:x', '!r')]);
    const elsewhere = `${directory}-elsewhere`;
    renameSync(directory, elsewhere);
    onTestFinished(() => rmSync(elsewhere, { recursive: true, force: true }));
    for (let again = 0; again < 2; again += 1) {
      await expect(kept.commit([joins('@lost:x', '!lost')])).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringContaining(`is not at ${kept.path} any more`) as string,
      });
      expect(kept.store.lostTo).toContain('not at');
    }
    renameSync(elsewhere, directory);
    await kept.commit([joins('@b:x', '!r')]);
    expect(kept.store.lostTo).toBeUndefined();
    await kept.close();
    expect(await membershipsOf(directory)).toEqual(['@a:x !r', '@b:x !r']);
  });

  test('removed, also when another store is there by then', async () => {
    const directory = newFolder();
    const kept = await KeptStore.open(directory);
    await kept.commit([joins('@a:x', '!r')]);
    rmSync(directory, { recursive: true });
    await expect(kept.commit([joins('@lost:x', '!lost')])).rejects.toThrow('not at');
    await addTo(directory, [joins('@new:x', '!r')]);
    await expect(kept.commit([joins('@lost:x', '!lost')])).rejects.toThrow('not at');
    await kept.close();
    expect(await membershipsOf(directory)).toEqual(['@new:x !r']);
  });
});
