/** Is a compaction alone with the store, and is the store whole whenever it ends? */
import { once } from 'node:events';
import { copyFileSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { compactStore } from '../../src/store/compact.js';
import { storeFileName } from '../../src/store/layout.js';
import { openOwned } from '../../src/store/owner.js';
import { verifyStore } from '../../src/store/verify.js';
import { built, runApart } from '../store/apart.js';
import {
  KeptStore,
  addTo,
  allIn,
  ids,
  joins,
  membershipsOf,
  newFolder,
  storeOf,
  within,
} from '../store/kept-store.js';

test('a server that has the store is named, and nothing changes', async () => {
  const directory = newFolder();
  const kept = await KeptStore.open(directory);
  await kept.commit([joins('@a:x', '!r')]);
  await expect(compactStore({ directory })).rejects.toThrow(`is in use by process ${process.pid}`);
  await kept.commit([joins('@b:x', '!r')]);
  await kept.close();
  expect(await membershipsOf(directory)).toEqual(['@a:x !r', '@b:x !r']);
});

test('what another machine commits meanwhile is never lost', async () => {
  const directory = await storeOf(allIn(ids('@', 'user', 500), ids('!', 'room', 40)));
  const path = join(directory, storeFileName);
  // A container that cannot be seen from here opens the store once the compaction has begun.
  let isTaken = false;
  const compaction = compactStore({
    directory,
    onProgress: () => {
      if (isTaken) return;
      isTaken = true;
      void within(directory, (environment) =>
        environment.write(() =>
          environment.putMeta('owner', { instance: 'other', host: 'elsewhere', pid: 1, started: '' }),
        ),
      );
    },
  });
  const inode = statSync(path).ino;
  await expect(compaction).rejects.toThrow(/has opened .* since/);
  expect(isTaken).toBe(true);
  expect(statSync(path).ino).toBe(inode);
  expect(await within(directory, (environment) => environment.getMeta('owner')?.instance)).toBe('other');
});

test('a file that is replaced while it is being opened is not written to', async () => {
  const directory = await storeOf([joins('@a:x', '!r')]);
  const path = join(directory, storeFileName);
  const opening = openOwned(path, 'instance', () => {
    copyFileSync(path, `${path}.next`);
    renameSync(`${path}.next`, path);
  });
  await expect(opening).rejects.toThrow(/was replaced while it was being opened/);
  await addTo(directory, [joins('@b:x', '!r')]);
  expect(await membershipsOf(directory)).toEqual(['@a:x !r', '@b:x !r']);
});

test('readers go on over a compaction, and harm neither store', { timeout: 60_000 }, async () => {
  const directory = await storeOf(allIn(ids('@', 'user', 2000), ids('!', 'room', 20)));
  await compactStore({ directory });
  const child = runApart(
    newFolder(),
    `import { Environment } from ${built('lmdb')};
    const environment = new Environment({ path: ${JSON.stringify(join(directory, storeFileName))}, readOnly: true });
    const snapshot = environment.snapshot();
    const scan = environment.users.scan({}, snapshot);
    let count = 0;
    if (scan.next() !== undefined) count += 1;
    process.send('reading');
    await new Promise((resolve) => process.once('message', resolve));
    while (scan.next() !== undefined) count += 1;
    snapshot.done();
    const again = environment.snapshot();
    const epoch = environment.getMeta('identity', again).epoch;
    again.done();
    await environment.close();
    process.send({ count, epoch }, () => process.exit());`,
  );
  await once(child, 'message');
  const before = await within(directory, (environment) => environment.getMeta('identity')?.epoch);
  await compactStore({ directory });
  const expected = await membershipsOf(directory);
  const kept = await KeptStore.open(directory);
  const more: string[] = [];
  const commitSome = async (name: string): Promise<void> => {
    for (const user of ids('@', name, 60)) {
      await kept.commit([joins(user, '!new:x')]);
      more.push(`${user} !new:x`);
    }
  };
  await commitSome('while');
  child.send('go on');
  const [read] = (await once(child, 'message')) as [{ count: number; epoch: number }];
  expect(read).toEqual({ count: 2000, epoch: before });
  await commitSome('after');
  await kept.close();
  await verifyStore(join(directory, storeFileName));
  expect(await membershipsOf(directory)).toEqual([...expected, ...more].toSorted());
});
