/** Is what is exported what is in the store, in a form that import takes, whatever the IDs hold? */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compactStore } from '../../src/store/compact.js';
import { exportMemberships } from '../../src/store/export.js';
import { storeFileName } from '../../src/store/layout.js';
import {
  KeptStore,
  addTo,
  allIn,
  ids,
  joins,
  leaves,
  membershipsOf,
  newFolder,
  stateAfter,
  storeOf,
} from './kept-store.js';
import { imported } from './imported-store.js';

test('IDs with all that JSON escapes, and without', async () => {
  const users = [
    '@"q":x',
    '@\\:x',
    '@\n\t\0\u001f\u007f:x',
    '@é☕😀\u2028:x',
    '@plain:x',
    '@a\ud7ff\ue000:x',
  ];
  const rooms = ['!"', '!\\\\', '!\b\f\r', '!é', '!plain:example.org', '!😀'.repeat(60)];
  const directory = await storeOf(allIn(users, rooms));
  const expected = stateAfter(allIn(users, rooms));
  expect(await membershipsOf(directory)).toEqual(expected);
  expect(await membershipsOf(await imported(directory))).toEqual(expected);
});

test('changes that are not folded in yet, of old and new users, in parts and in one record', async () => {
  const rooms = ids('!', 'room', 400);
  const first = [...allIn(['@bot:x'], rooms), ...allIn(ids('@', 'user', 70), rooms.slice(0, 5))];
  const directory = await storeOf(first);
  await compactStore({ directory });
  const later = [
    ...rooms.slice(0, 100).map((room) => leaves('@bot:x', room)),
    ...ids('@', 'user', 30).flatMap((user) => rooms.slice(0, 5).map((room) => leaves(user, room))),
    ...ids('@', 'new', 50).map((user) => joins(user, '!new:x')),
    joins('@bot:x', '!new:x'),
    joins('@user0:example.org', rooms[3]),
  ];
  await addTo(directory, later.slice(0, 80), later.slice(80));
  expect(await membershipsOf(directory)).toEqual(stateAfter([...first, ...later]));
});

test('beside a server it is the state of one commit', async () => {
  const kept = await KeptStore.open(newFolder());
  // Each commit moves everybody to another room.
  const users = ids('@', 'user', 20);
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
  for (let read = 0; read < 20; read += 1) {
    const memberships = await membershipsOf(kept.directory);
    expect(memberships).toHaveLength(users.length);
    expect(new Set(memberships.map((line) => line.split(' ')[1])).size).toBe(1);
  }
  isDone = true;
  await moving;
  await kept.close();
});

test('progress ends at all of it', async () => {
  const directory = await storeOf(allIn(ids('@', 'user', 300), ids('!', 'room', 40)));
  const shares: number[] = [];
  for await (const piece of exportMemberships(join(directory, storeFileName), (done, total) =>
    shares.push(done / total),
  ))
    expect(piece.length).toBeGreaterThan(0);
  expect(shares.at(-1)).toBe(1);
  expect(shares).toEqual(shares.toSorted((left, right) => left - right));
});
