/** Does a server with a data directory remember, say how far it is while it loads, and mend a shard that died? */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { describe, expect, onTestFinished, test } from 'vitest';
import { startApp } from '../../src/service/app.js';
import type { Config } from '../../src/config/load.js';
import type { Starting } from '../../src/http/backend.js';
import { runs } from '../runs.js';
import {
  ServerUnderTest,
  alice,
  bob,
  membershipsPath,
  serviceToken,
  stablePath,
  testConfig,
} from '../http/server-under-test.js';

const rooms = Array.from({ length: 30 }, (_, index) => `!room${index}:hs.example`);

function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-durable-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** Not waited for: it may still be loading. */
async function start(dataDir: string, overrides: Partial<Config> = {}): Promise<ServerUnderTest> {
  const logged: string[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) });
  const server = new ServerUnderTest(
    await startApp(testConfig({ dataDir, ...overrides }), { logger }),
    logged,
  );
  onTestFinished(() => server.close());
  return server;
}

async function startLoaded(dataDir: string, overrides: Partial<Config> = {}): Promise<ServerUnderTest> {
  const server = await start(dataDir, overrides);
  await server.app.ready;
  return server;
}

/** All rooms of a walk through the pages, from a token on. */
async function walk(server: ServerUnderTest, from = ''): Promise<string[]> {
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

const restarts = [
  [0, 2],
  [2, 0],
  [3, 1],
];

test.each(restarts.slice(0, runs(1, restarts.length)))(
  'with %i shards and then %i, a restart forgets nothing and pages go on',
  async (before, after) => {
    const folder = newFolder();
    const first = await startLoaded(folder, { shards: before });
    await first.join([alice, bob], rooms);
    await first.app.apply([{ userId: bob, roomId: rooms[7], joined: false }]);
    const page = await first.mutual(bob);
    const expected = await walk(first);
    expect(expected).toHaveLength(rooms.length - 1);
    await first.close();

    const second = await startLoaded(folder, { shards: after });
    expect(await walk(second)).toEqual(expected);
    expect([
      ...(page.json.joined as string[]),
      ...(await walk(second, page.json.next_batch as string)),
    ]).toEqual(expected);
    // What comes now is kept, too.
    await second.app.apply([{ userId: bob, roomId: rooms[7], joined: true }]);
    await second.close();
    const third = await startLoaded(folder, { shards: after });
    expect((await walk(third)).toSorted()).toEqual(rooms.toSorted());
  },
);

test('while it loads, all that needs the index is 503 with Retry-After, and /ready says how far it is', async () => {
  const folder = newFolder();
  const first = await startLoaded(folder);
  await first.join([alice, bob], rooms);
  await first.close();

  // Threads take longer to start than a request takes.
  const server = await start(folder, { shards: 2 });
  const [ready, question, change, health] = await Promise.all([
    server.ask('/ready'),
    server.mutual(bob),
    server.ask(membershipsPath, {
      method: 'POST',
      token: serviceToken,
      headers: { 'content-type': 'application/x-ndjson' },
      body: `{"user_id":"${alice}","room_id":"!a","membership":"join"}\n`,
    }),
    server.ask('/health'),
  ]);
  expect(health.status).toBe(200);
  for (const answer of [ready, question, change]) {
    expect(answer.status).toBe(503);
    expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(answer.json.error).toMatch(/the index is being (opened|checked|loaded): \d+ %/);
  }
  expect(ready.json.share).toBeGreaterThanOrEqual(0);
  expect(ready.json.share).toBeLessThanOrEqual(1);
  await server.app.ready;
  expect((await server.ask('/ready')).json).toEqual({ status: 'ready', shards: 2 });
  expect((await walk(server)).toSorted()).toEqual(rooms.toSorted());
});

test('progress ends at all of it', async () => {
  const folder = newFolder();
  const first = await startLoaded(folder);
  await first.join([alice, bob], rooms);
  await first.close();
  const told: Starting[] = [];
  const app = await startApp(testConfig({ dataDir: folder, shards: 1 }), {
    logger: pino({ level: 'silent' }),
    onStarting: (starting) => void told.push(starting),
  });
  await app.ready;
  await app.close();
  expect(told.at(-1)).toEqual({ phase: 'loaded', share: 1 });
  const shares = told.filter(({ phase }) => phase === 'loaded').map(({ share }) => share);
  expect(shares).toEqual(shares.toSorted((left, right) => left - right));
});

describe('a directory that is none of ours', () => {
  test('ends the start with what is wrong, and nothing stays open', async () => {
    const folder = newFolder();
    writeFileSync(join(folder, 'PG_VERSION'), '15');
    const server = await start(folder);
    await expect(server.app.ready).rejects.toThrow(/holds something else \(PG_VERSION\)/);
    expect((await server.mutual(bob)).status).toBe(503);
  });
});

test('a shard whose thread died is loaded again; until then there are no partial answers', async () => {
  const workers: Worker[] = [];
  const collect = (message: unknown): void => void workers.push((message as { worker: Worker }).worker);
  subscribe('worker_threads', collect);
  onTestFinished(() => void unsubscribe('worker_threads', collect));
  const server = await startLoaded(newFolder(), { shards: 2 });
  await server.join([alice, bob], rooms);
  const expected = await walk(server);
  // The shards' threads are started first, and the store's behind them.
  await workers[0].terminate();

  const statuses = new Set<number>();
  for (;;) {
    const answer = await server.mutual(bob);
    statuses.add(answer.status);
    if (answer.status === 200) {
      expect(answer.json.count).toBe(rooms.length);
      if (statuses.has(503)) break;
    } else expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    await sleep(5);
  }
  expect(await walk(server)).toEqual(expected);
  expect((await server.ask('/ready')).status).toBe(200);
  const metrics = (await (await fetch(`${server.url}/metrics`)).text()).split('\n');
  expect(metrics).toContain('mutual_rooms_shard_failures_total 1');
  expect(metrics).toContain('mutual_rooms_shard_reloads_total 1');
  expect(server.logged.filter((line) => line.includes('has been loaded again'))).toHaveLength(1);
  await server.app.apply([{ userId: bob, roomId: rooms[3], joined: false }]);
  expect((await server.mutual(bob)).json.count).toBe(rooms.length - 1);
});
