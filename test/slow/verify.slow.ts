/** Does looking at a store that is written to, or damaged anywhere, end in an answer? Each look has a process of its own. */
import { closeSync, openSync, readFileSync, statSync, truncateSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { Prng } from '../../src/source/demo/prng.js';
import { compactStore } from '../../src/store/compact.js';
import { probeStore, verifyInProcess } from '../../src/store/inspect.js';
import { storeFileName } from '../../src/store/layout.js';
import { fullStore, rooms } from '../store/full-store.js';
import { KeptStore, ids, joins, newFolder, storeOf } from '../store/kept-store.js';

test('it works beside a server, and sees one commit', async () => {
  const kept = await KeptStore.open(newFolder());
  let isDone = false;
  const committing = (async () => {
    for (let round = 0; !isDone; round += 1)
      await kept.commit([joins(`@a${round}:x`, `!r${round}`), joins(`@b${round}:x`, `!r${round}`)]);
  })();
  for (let round = 0; round < 5; round += 1) {
    await probeStore(kept.path);
    const totals = await verifyInProcess(kept.path);
    expect(totals.recentChanges).toBe(totals.users);
    expect(totals.rooms * 2).toBe(totals.users);
  }
  isDone = true;
  await committing;
  await kept.close();
});

test(
  'a table that seems to end at a damaged page is found by the quick look too',
  { timeout: 120_000 },
  async () => {
    const directory = await storeOf(
      ids('@', 'user', 2000).map((user, index) => joins(user, rooms[index % 250])),
    );
    await compactStore({ directory });
    const path = join(directory, storeFileName);
    const whole = readFileSync(path);
    const codeOf = (error: unknown): unknown => (error as { code?: unknown }).code;
    let found = 0;
    for (let page = 2; page < whole.length / 4096; page += 5) {
      const copy = Buffer.from(whole);
      copy.fill(0xa5, page * 4096 + 32, (page + 1) * 4096);
      writeFileSync(path, copy);
      const verified = await verifyInProcess(path).catch(codeOf);
      if (verified !== 'DAMAGED') continue;
      found += 1;
      expect(await probeStore(path).catch(codeOf)).toBe('DAMAGED');
    }
    expect(found).toBeGreaterThan(3);
  },
);

describe('a damaged file ends no more than the process that reads it:', () => {
  test('cut anywhere', { timeout: 120_000 }, async () => {
    const directory = await fullStore();
    const path = join(directory, storeFileName);
    const { size } = statSync(path);
    const whole = readFileSync(path);
    for (const share of [0.6, 0.4, 0.2]) {
      truncateSync(path, Math.floor((size * share) / 4096) * 4096);
      await expect(probeStore(path)).rejects.toMatchObject({ code: 'DAMAGED' });
      await expect(verifyInProcess(path)).rejects.toMatchObject({ code: 'DAMAGED' });
      writeFileSync(path, whole);
    }
    await verifyInProcess(path);
  });

  test('random bytes in pages: an error, or nothing that was in use', { timeout: 300_000 }, async () => {
    const directory = await fullStore();
    const path = join(directory, storeFileName);
    const whole = readFileSync(path);
    const random = new Prng(11);
    let found = 0;
    for (let round = 0; round < 24; round += 1) {
      const page = 2 + Math.floor(random.next() * (whole.length / 4096 - 2));
      const handle = openSync(path, 'r+');
      const bytes = Buffer.from(Array.from({ length: 4096 }, () => Math.floor(random.next() * 256)));
      writeSync(handle, bytes, 0, 4096, page * 4096);
      closeSync(handle);
      try {
        await verifyInProcess(path);
      } catch (error) {
        expect(error).toMatchObject({ code: 'DAMAGED' });
        found += 1;
      }
      writeFileSync(path, whole);
    }
    expect(found).toBeGreaterThan(0);
  });
});
