/** Is the store whole whenever a compaction is killed, and the same about the sizes at which records are split? */
import { once } from 'node:events';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { compactStore } from '../../src/store/compact.js';
import { storeFileName } from '../../src/store/layout.js';
import { verifyStore } from '../../src/store/verify.js';
import { built, runApart } from '../store/apart.js';
import {
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
} from '../store/kept-store.js';

test('users about the size from which on a record is split', { timeout: 120_000 }, async () => {
  const rooms = ids('!', 'room', 300);
  const directory = newFolder();
  const all: Change[] = [];
  // Up over 128 rooms, down below 64, and between the two, folded and not.
  for (const count of [120, 128, 129, 300, 100, 65, 64, 63, 10, 0, 129]) {
    const changes = ['@a:x', '@b:x'].flatMap((user) =>
      rooms.map((room, index) => ({ userId: user, roomId: room, joined: index < count })),
    );
    await addTo(directory, changes);
    all.push(...changes);
    expect(await membershipsOf(directory)).toEqual(stateAfter(all));
    await compactStore({ directory });
    expect(await membershipsOf(directory)).toEqual(stateAfter(all));
    await totalsOf(directory);
  }
});

test('killed at any moment, the old store or the new one is there', { timeout: 120_000 }, async () => {
  const rooms = ids('!', 'room', 400);
  const directory = await storeOf(
    ids('@', 'user', 3000).flatMap((user, index) =>
      [0, 1, 2, 3, 4].map((step) => joins(user, rooms[(index * 11 + step) % 300])),
    ),
    allIn(ids('@', 'bot', 5), rooms),
  );
  await addTo(
    directory,
    ids('@', 'user', 1000).flatMap((user, index) =>
      [0, 1, 2, 3, 4].map((step) => leaves(user, rooms[(index * 11 + step) % 300])),
    ),
  );
  const expected = await membershipsOf(directory);
  const epochOf = () => within(directory, (environment) => environment.getMeta('identity')?.epoch);
  let epoch = await epochOf();
  let replaced = 0;
  let lasted = 400;
  for (let round = 0; round < 24; round += 1) {
    const startedAtMs = performance.now();
    const child = runApart(
      newFolder(),
      `import { compactStore } from ${built('compact')};
      process.send('begins');
      await compactStore({ directory: ${JSON.stringify(directory)} });
      process.exit();`,
    );
    await once(child, 'message');
    const ended = once(child, 'exit');
    // The first one tells how long it takes.
    if (round > 0) {
      await Promise.race([ended, sleep((lasted * (round % 12)) / 10)]);
      child.kill('SIGKILL');
    }
    await ended;
    if (round === 0) lasted = performance.now() - startedAtMs;
    await verifyStore(join(directory, storeFileName));
    expect(await membershipsOf(directory)).toEqual(expected);
    const now = await epochOf();
    if (now !== epoch) replaced += 1;
    epoch = now;
  }
  expect(replaced).toBeGreaterThan(0);
  expect(replaced).toBeLessThan(24);
  await addTo(directory, [joins('@new:x', '!new:x')]);
  expect(await membershipsOf(directory)).toEqual([...expected, '@new:x !new:x'].toSorted());
});
