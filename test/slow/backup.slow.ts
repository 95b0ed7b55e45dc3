/** Is a backup a store of its own, as of one commit, whoever writes meanwhile? */
import { mkdirSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { backupStore } from '../../src/store/backup.js';
import { compactStore } from '../../src/store/compact.js';
import { storeFileName } from '../../src/store/layout.js';
import { verifyStore } from '../../src/store/verify.js';
import {
  KeptStore,
  addTo,
  ids,
  joins,
  leaves,
  membershipsOf,
  newFolder,
  storeOf,
  within,
} from '../store/kept-store.js';

test('while a server commits, each copy is the state of one commit', { timeout: 60_000 }, async () => {
  const kept = await KeptStore.open(newFolder());
  const users = ids('@', 'user', 300);
  let round = 0;
  const move = async (): Promise<void> => {
    await kept.commit(users.flatMap((user) => [leaves(user, `!r${round}`), joins(user, `!r${round + 1}`)]));
    round += 1;
  };
  await move();
  let isDone = false;
  const moving = (async () => {
    while (!isDone) await move();
  })();
  for (let copy = 0; copy < 4; copy += 1) {
    const target = join(newFolder(), 'below', 'backup');
    const before = round;
    expect(await backupStore(kept.path, target)).toBeGreaterThan(0);
    expect(readdirSync(target)).toEqual([storeFileName]);
    await verifyStore(join(target, storeFileName));
    const memberships = await membershipsOf(target);
    expect(memberships).toHaveLength(users.length);
    const rooms = new Set(memberships.map((line) => line.split(' ')[1]));
    expect(rooms.size).toBe(1);
    // Not older than when it was begun, and not newer than now.
    const copied = Number([...rooms][0].slice(2));
    expect(copied).toBeGreaterThanOrEqual(before);
    expect(copied).toBeLessThanOrEqual(round + 1);
    // It has no owner, and is a store to go on with.
    expect(await within(target, (environment) => environment.getMeta('owner'))).toBeUndefined();
    await addTo(target, [joins('@new:x', '!new:x')]);
    expect(await membershipsOf(target)).toHaveLength(users.length + 1);
  }
  isDone = true;
  await moving;
  await move();
  await kept.close();
  await verifyStore(kept.path);
});

test('it goes nowhere where something is', async () => {
  const directory = await storeOf([joins('@a:x', '!r')]);
  const path = join(directory, storeFileName);
  await expect(backupStore(path, directory)).rejects.toThrow(/is not empty/);
  const target = newFolder();
  writeFileSync(join(target, 'something'), '');
  await expect(backupStore(path, target)).rejects.toThrow(/is not empty/);
  expect(readdirSync(target)).toEqual(['something']);
  await expect(backupStore(path, join(target, 'something'))).rejects.toMatchObject({ name: 'PublicError' });
});

test('a copy that cannot be made leaves nothing behind', async () => {
  const target = newFolder();
  const missing = join(newFolder(), storeFileName);
  mkdirSync(missing);
  await expect(backupStore(missing, target)).rejects.toThrow();
  expect(readdirSync(target)).toEqual([]);
});

test('a copy has no free pages', async () => {
  const users = ids('@', 'user', 3000);
  const directory = await storeOf(users.map((user) => joins(user, '!r')));
  await compactStore({ directory });
  for (let round = 0; round < 3; round += 1)
    await addTo(
      directory,
      users.map((user) => leaves(user, '!r')),
      users.map((user) => joins(user, '!r')),
    );
  const before = await within(directory, (environment) => environment.bytes);
  const target = newFolder();
  expect(await backupStore(join(directory, storeFileName), target)).toBeLessThanOrEqual(before);
  expect(await membershipsOf(target)).toEqual(await membershipsOf(directory));
});
