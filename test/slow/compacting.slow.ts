/** Does a start compact a store that is worth it, and only that, and do pages go on over it? */
import { mkdtempSync, rmSync, statSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { pino } from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import { startApp } from '../../src/service/app.js';
import { unusedNamesMin } from '../../src/base/limits.js';
import type { Starting } from '../../src/http/backend.js';
import { ServerUnderTest, alice, bob, stablePath, testConfig } from '../http/server-under-test.js';

const rooms = Array.from({ length: 40 }, (_, index) => `!room${index}:hs.example`);
const guests = Array.from({ length: unusedNamesMin }, (_, index) => `@guest${index}:hs.example`);

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-compacting-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

async function start(
  dataDir: string,
  compactAtWaste: number | null,
  shards = 0,
): Promise<{ server: ServerUnderTest; phases: Starting['phase'][] }> {
  const logged: string[] = [];
  const phases: Starting['phase'][] = [];
  const config = testConfig({ dataDir, shards });
  const app = await startApp(
    { ...config, store: { ...config.store, compactAtWaste } },
    {
      logger: pino({ level: 'info' }, { write: (line: string) => void logged.push(line) }),
      onStarting: ({ phase }) => {
        if (phases.at(-1) !== phase) phases.push(phase);
      },
    },
  );
  const server = new ServerUnderTest(app, logged);
  onTestFinished(() => server.close());
  await app.ready;
  return { server, phases };
}

/** Alice and Bob in all rooms; so many guests came and went, and each of the first 40 in a room of its own. */
async function storeWithGuests(folder: string, count: number): Promise<string> {
  const { server } = await start(folder, null);
  await server.join(guests.slice(0, 40), rooms);
  await server.join([alice, bob], rooms);
  await server.join(guests.slice(0, count), ['!lobby:hs.example']);
  const all = guests
    .slice(0, count)
    .map((userId) => ({ userId, roomId: '!lobby:hs.example', joined: false }));
  await server.app.apply(all);
  await server.app.apply(
    guests.slice(0, 40).flatMap((userId) => rooms.map((roomId) => ({ userId, roomId, joined: false }))),
  );
  const page = await server.mutual(bob);
  await server.close();
  return page.json.next_batch as string;
}

async function walk(server: ServerUnderTest, from: string): Promise<string[]> {
  const found: string[] = [];
  for (let token: string | undefined = from; token !== undefined;) {
    const path = `${stablePath}?user_id=${encodeURIComponent(bob)}&from=${token}`;
    const { status, json } = await server.ask(path, { token: 'alice-token' });
    expect(status).toBe(200);
    found.push(...(json.joined as string[]));
    token = json.next_batch as string | undefined;
  }
  return found;
}

const isCompacted = (server: ServerUnderTest): boolean =>
  server.logged.some((line) => line.includes('the store was compacted'));

test.each([0, 2])('with %i shards, a start compacts, once, and pages go on', async (shards) => {
  const folder = newFolder();
  const token = await storeWithGuests(folder, guests.length);
  const before = statSync(join(folder, 'index.mdb')).size;

  const first = await start(folder, 0.25, shards);
  expect(first.phases).toContain('compacted');
  expect(isCompacted(first.server)).toBe(true);
  expect(statSync(join(folder, 'index.mdb')).size).toBeLessThan(before);
  const whole = await walk(first.server, '');
  expect(whole.toSorted()).toEqual(rooms.toSorted());
  // A page of three had been read.
  expect(await walk(first.server, token)).toEqual(whole.slice(3));
  // Numbers that were given up are given out anew.
  await first.server.join([alice, bob], ['!new:hs.example']);
  expect((await first.server.mutual(bob)).json.count).toBe(rooms.length + 1);
  await first.server.close();

  const second = await start(folder, 0.25, shards);
  expect(second.phases).not.toContain('compacted');
  expect(isCompacted(second.server)).toBe(false);
  expect((await walk(second.server, token)).toSorted()).toEqual(
    [...whole.slice(3), '!new:hs.example'].filter((room) => !whole.slice(0, 3).includes(room)).toSorted(),
  );
});

test('not where the operator wants none, nor for a few', async () => {
  const folder = newFolder();
  await storeWithGuests(folder, guests.length);
  const { server, phases } = await start(folder, null);
  expect(phases).not.toContain('compacted');
  expect(isCompacted(server)).toBe(false);
  await server.close();
  const few = newFolder();
  await storeWithGuests(few, 500);
  expect((await start(few, 0.25)).phases).not.toContain('compacted');
});
