/** Does a compaction drop what nobody needs, and nothing else? */
import { readdirSync } from 'node:fs';
import { expect, test } from 'vitest';
import { pageTokenLifetimeMs } from '../../src/base/limits.js';
import { compactStore } from '../../src/store/compact.js';
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
  totalsOf,
  within,
} from './kept-store.js';

const clockAt = (ms: number) => ({ nowMs: () => ms, monotonicMs: () => ms });

test('users without rooms and rooms without members are gone, and everything else is there', async () => {
  const users = ids('@', 'user', 300);
  const rooms = ids('!', 'room', 200);
  const goes = users.filter((_, index) => index % 3 === 0);
  const changes = [
    ...allIn(users.slice(0, 100), rooms),
    ...users.map((user, index) => joins(user, rooms[index % 150])),
    ...goes.flatMap((user) => rooms.map((room) => leaves(user, room))),
    ...users.flatMap((user) => rooms.slice(0, 30).map((room) => leaves(user, room))),
  ];
  const directory = await storeOf(changes.slice(0, 9000), changes.slice(9000));
  const before = await membershipsOf(directory);
  expect(before).toEqual(stateAfter(changes));
  const userCount = new Set(before.map((line) => line.split(' ')[0])).size;
  const roomCount = new Set(before.map((line) => line.split(' ')[1])).size;

  const { before: was, after } = await compactStore({ directory });
  expect(was).toMatchObject({ users: 300, rooms: 200 });
  expect(after).toMatchObject({ users: userCount, rooms: roomCount });
  expect(await membershipsOf(directory)).toEqual(before);
  expect(await totalsOf(directory)).toMatchObject({
    users: userCount,
    rooms: roomCount,
    memberships: before.length,
    recentChanges: 0,
    usersWithoutRooms: 0,
    roomsWithoutMembers: 0,
  });
  expect(readdirSync(directory).filter((name) => name.startsWith('unfinished'))).toEqual([]);

  // It is a store as any other: it takes changes, in old and in new rooms.
  const more = [joins(goes[0], rooms[0]), joins(users[1], '!new:example.org')];
  await addTo(directory, more);
  expect(await membershipsOf(directory)).toEqual(
    [...before, ...more.map(({ userId, roomId }) => `${userId} ${roomId}`)].toSorted(),
  );
  await totalsOf(directory);
});

test('an empty store, and one that nothing is left of', async () => {
  const empty = await storeOf();
  expect((await compactStore({ directory: empty })).after).toMatchObject({ users: 0, rooms: 0 });
  expect(await totalsOf(empty)).toMatchObject({ users: 0, rooms: 0, memberships: 0 });
  const left = await storeOf([joins('@a:x', '!r'), leaves('@a:x', '!r')]);
  expect((await compactStore({ directory: left })).after).toMatchObject({ users: 0, rooms: 0 });
  await addTo(left, [joins('@b:x', '!r')]);
  expect(await membershipsOf(left)).toEqual(['@b:x !r']);
  await totalsOf(left);
});

test('cursors and the key of tokens stay, the epoch does not, and nobody owns it', async () => {
  const directory = newFolder();
  const kept = await KeptStore.open(directory);
  const before = kept.store.identity;
  await kept.commit([joins('@a:x', '!r')], [{ source: 'sync', value: Buffer.from('s72594_4483') }]);
  await kept.close();
  await compactStore({ directory });
  const again = await KeptStore.open(directory);
  expect(again.store.identity.tokenKey).toEqual(before.tokenKey);
  expect(again.store.identity.epoch).not.toBe(before.epoch);
  expect(again.store.identity.earlier.map(({ epoch }) => epoch)).toEqual([before.epoch]);
  expect(Buffer.from(again.store.cursor('sync') ?? []).toString()).toBe('s72594_4483');
  await again.close();
});

test('a numbering is remembered for as long as its tokens open', async () => {
  const directory = await storeOf([joins('@a:x', '!r')]);
  const earlier = () => within(directory, (environment) => environment.getMeta('earlier') ?? []);
  await compactStore({ directory, clock: clockAt(1_000_000) });
  await compactStore({ directory, clock: clockAt(1_000_000 + pageTokenLifetimeMs) });
  expect((await earlier()).map(({ endedAtMs }) => endedAtMs)).toEqual([
    1_000_000,
    1_000_000 + pageTokenLifetimeMs,
  ]);
  await compactStore({ directory, clock: clockAt(1_000_001 + pageTokenLifetimeMs) });
  expect((await earlier()).map(({ endedAtMs }) => endedAtMs)).toEqual([
    1_000_000 + pageTokenLifetimeMs,
    1_000_001 + pageTokenLifetimeMs,
  ]);
});

test('without anything to drop the file does not grow', async () => {
  // Some have a record for each partition.
  const rooms = ids('!', 'room', 2000);
  const changes = [
    ...allIn(ids('@', 'bot', 40), rooms),
    ...ids('@', 'user', 5000).flatMap((user, index) =>
      [0, 1, 2, 3].map((step) => joins(user, rooms[(index * 7 + step) % rooms.length])),
    ),
  ];
  const directory = await storeOf(changes);
  const first = await compactStore({ directory });
  const second = await compactStore({ directory });
  // One more numbering that ended is remembered: 2,000 rooms, two bytes each.
  expect(second.after.bytes).toBeLessThan(first.after.bytes + 16 * 1024);
  const { memberships } = await totalsOf(directory);
  expect(memberships).toBe(changes.length);
  // 100,000 memberships, of which 80,000 are parts of 31 rooms: about three bytes each, and the names.
  expect(second.after.bytes).toBeLessThan(1_400_000);
});
