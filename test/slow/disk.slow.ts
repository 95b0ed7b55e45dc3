/**
 * What becomes of changes and questions when the disk is full, read-only, or at its bound, and when a thread dies under
 * load? A real small disk (tmpfs, which needs root on Linux), real processes and threads.
 */
import { execFileSync } from 'node:child_process';
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import { once } from 'node:events';
import { mkdtempSync, rmSync, rmdirSync, writeFileSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import type { Worker } from 'node:worker_threads';
import { pino } from 'pino';
import { afterAll, describe, expect, onTestFinished, test } from 'vitest';
import { startApp, type App } from '../../src/service/app.js';
import type { Change } from '../../src/base/change.js';
import { testConfig } from '../http/server-under-test.js';
import {
  exportedRooms,
  openFolder,
  openServe,
  postMemberships,
  runCommand,
  verified,
  type ServeProcess,
} from './serve-process.js';

const alice = '@alice:hs.example';
const bob = '@bob:hs.example';

interface Answer {
  readonly status: number;
  readonly json: Readonly<Record<string, unknown>>;
}

async function send(server: { url: string }, lines: readonly (readonly [string, string])[]): Promise<Answer> {
  const records = lines.map(([user, room]) => ({ user_id: user, room_id: room, membership: 'join' }));
  const response = await postMemberships(server, records);
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

async function count({ url }: { url: string }): Promise<Answer> {
  const path = `/_matrix/client/v1/mutual_rooms?user_id=${encodeURIComponent(bob)}`;
  const response = await fetch(url + path, { headers: { authorization: 'Bearer a' } });
  return { status: response.status, json: (await response.json()) as Record<string, unknown> };
}

async function serveIn(dataDir: string, more = ''): Promise<ServeProcess> {
  return openServe(
    `listen: { port: 0 }\ndata_dir: ${dataDir}\nshards: 1\nservice_token: secret\nrate_limit: null\n${more}` +
      `auth: { static_tokens: { a: "${alice}" } }\n`,
  );
}

async function stop(server: ServeProcess): Promise<void> {
  const ended = once(server.child, 'exit');
  server.child.kill('SIGTERM');
  await ended;
}

/** Of a disk that fills up: everybody is new, so that every batch needs space. */
function batchOf(number: number): (readonly [string, string])[] {
  return Array.from({ length: 200 }, (_, index) => [
    `@user${number}.${index}:hs.example`,
    `!room${(number * 200 + index) % 5_000}:hs.example`,
  ]);
}

let canMount = false;
const disks: string[] = [];
try {
  const probe = mkdtempSync(join(tmpdir(), 'mutual-rooms-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=1m', 'tmpfs', probe], { stdio: 'ignore' });
  execFileSync('umount', [probe]);
  rmdirSync(probe);
  canMount = true;
} catch {
  console.warn('skipped: what happens on a full disk, because this user cannot mount one');
}

function mountDisk(mebibytes: number): string {
  const disk = mkdtempSync(join(tmpdir(), 'mutual-rooms-disk-'));
  execFileSync('mount', ['-t', 'tmpfs', '-o', `size=${mebibytes}m`, 'tmpfs', disk]);
  disks.push(disk);
  return disk;
}

afterAll(() => {
  for (const disk of disks) {
    execFileSync('umount', ['-l', disk]);
    rmdirSync(disk);
  }
});

describe.runIf(canMount)('a small disk', () => {
  test('full: changes are refused whole, questions are answered, and with space again all goes on', async () => {
    const disk = mountDisk(6);
    const dataDir = join(disk, 'data');
    const server = await serveIn(dataDir);
    expect(
      (
        await send(server, [
          [alice, '!a'],
          [bob, '!a'],
          [alice, '!b'],
          [bob, '!b'],
        ])
      ).status,
    ).toBe(200);
    let batches = 0;
    let refused: Answer;
    for (;;) {
      refused = await send(server, batchOf(batches));
      if (refused.status !== 200) break;
      batches += 1;
    }
    expect(refused.status).toBe(507);
    expect(refused.json.error).toMatch(
      /disk of the store is full .*: free some space; nothing of this batch was kept/,
    );
    expect(batches).toBeGreaterThan(5);
    for (let again = 0; again < 3; again += 1) {
      expect((await send(server, batchOf(batches))).status).toBe(507);
      expect(await count(server)).toMatchObject({ status: 200, json: { count: 2 } });
    }
    expect((await fetch(`${server.url}/ready`)).status).toBe(200);
    // Said once, not with every refused batch.
    expect(server.output().split('the store takes no changes').length - 1).toBe(1);

    execFileSync('mount', ['-o', 'remount,size=64m', disk]);
    expect((await send(server, batchOf(batches))).json).toMatchObject({ applied: 200 });
    expect(server.output()).toContain('the store takes changes again');
    await stop(server);
    expect(await verified(dataDir)).toContain(`${(batches + 1) * 200 + 4} memberships`);

    const again = await serveIn(dataDir);
    expect(await count(again)).toMatchObject({ status: 200, json: { count: 2 } });
    // All that was acknowledged is there: saying it again is no news.
    for (const batch of [0, Math.floor(batches / 2), batches])
      expect((await send(again, batchOf(batch))).json).toMatchObject({ applied: 0, ignored: 200 });
  });

  test('full while it is folded: what is committed stays, and the rest goes on with space', async () => {
    const disk = mountDisk(5);
    const dataDir = join(disk, 'data');
    const server = await serveIn(dataDir, 'store: { recent_changes_max: 256 }\n');
    let batches = 0;
    for (; (await send(server, batchOf(batches))).status === 200; batches += 1);
    expect(batches).toBeGreaterThan(2);
    execFileSync('mount', ['-o', 'remount,size=64m', disk]);
    expect((await send(server, batchOf(batches))).status).toBe(200);
    await stop(server);
    expect(await verified(dataDir)).toContain(`${(batches + 1) * 200} memberships`);
  });

  test('full already at the start: it says so and makes nothing', async () => {
    const disk = mountDisk(1);
    writeFileSync(join(disk, 'ballast'), Buffer.alloc(2 ** 20 - 4096));
    const config = join(await openFolder(), 'config.yaml');
    await writeFile(
      config,
      `listen: { port: 0 }\ndata_dir: ${join(disk, 'data')}\nauth: { static_tokens: { a: "${alice}" } }\n`,
    );
    const { child, output } = runCommand('serve', '--config', config);
    const [code] = (await once(child, 'close')) as [number];
    expect(code).toBe(1);
    expect(output()).toMatch(/"level":60.*"the disk of .* is full: free some space/);
  });

  test('read-only: what is there is served, changes are refused', async () => {
    const disk = mountDisk(16);
    const dataDir = join(disk, 'data');
    const first = await serveIn(dataDir);
    expect(
      (
        await send(first, [
          [alice, '!a'],
          [bob, '!a'],
        ])
      ).status,
    ).toBe(200);
    await stop(first);
    execFileSync('mount', ['-o', 'remount,ro', disk]);
    const server = await serveIn(dataDir);
    expect(await count(server)).toMatchObject({ status: 200, json: { count: 1 } });
    const refused = await send(server, [[alice, '!b']]);
    expect(refused.status).toBe(503);
    expect(refused.json.error).toMatch(/store cannot be written \(Read-only file system\)/);
    expect(server.output()).toContain('changes will be refused');
    await stop(server);
    execFileSync('mount', ['-o', 'remount,rw', disk]);
    await verified(dataDir);
  });
});

test('store.bytes_max: changes are refused beyond it, and questions are answered', async () => {
  const dataDir = join(await openFolder(), 'data');
  const server = await serveIn(dataDir, `store: { bytes_max: ${2 ** 24} }\n`);
  expect(
    (
      await send(server, [
        [alice, '!a'],
        [bob, '!a'],
      ])
    ).status,
  ).toBe(200);
  let batches = 0;
  let refused: Answer;
  for (; ; batches += 1) {
    const lines = Array.from({ length: 20 }, (_, batch) => batchOf(batches * 20 + batch)).flat();
    refused = await send(server, lines);
    if (refused.status !== 200) break;
  }
  expect(refused.status).toBe(507);
  expect(refused.json.error).toMatch(
    /has reached store.bytes_max .*: raise it, or run "mutual-rooms compact"/,
  );
  expect(batches).toBeGreaterThan(5);
  expect(await count(server)).toMatchObject({ status: 200, json: { count: 1 } });
  await stop(server);
  await verified(dataDir);
});

/** Changes of users of their own, until it is stopped or refused. */
class Load {
  static readonly roomsOfEach = 20;
  readonly acknowledged = new Set<string>();
  /** What those were told who were refused. */
  readonly refused: string[] = [];
  #isStopped = false;
  readonly #writers: readonly Promise<void>[];

  constructor(app: App) {
    this.#writers = [0, 1, 2].map((writer) => this.#write(app, writer));
  }

  async stop(): Promise<void> {
    this.#isStopped = true;
    await Promise.all(this.#writers);
  }

  async #write(app: App, writer: number): Promise<void> {
    for (let batch = 0; !this.#isStopped; batch += 1) {
      const userId = `@w${writer}.${batch}:hs.example`;
      const changes: Change[] = Array.from({ length: Load.roomsOfEach }, (_, index) => ({
        userId,
        roomId: `!load${index}:hs.example`,
        joined: true,
      }));
      try {
        await app.apply(changes);
      } catch (error) {
        this.refused.push(String(error));
        return;
      }
      this.acknowledged.add(userId);
    }
  }
}

describe('a thread dies under load: nothing is lost, no answer is partial', () => {
  interface Running {
    readonly app: App;
    readonly folder: string;
    /** In the order in which they were started: those of the shards, then the store's. */
    readonly workers: Worker[];
    readonly shared: readonly string[];
  }

  async function start(): Promise<Running> {
    const workers: Worker[] = [];
    const collect = (message: unknown): void => void workers.push((message as { worker: Worker }).worker);
    subscribe('worker_threads', collect);
    onTestFinished(() => void unsubscribe('worker_threads', collect));
    const folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-disk-'));
    onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
    const config = testConfig({
      dataDir: folder,
      shards: 2,
      store: { bytesMax: 2 ** 37, recentChangesMax: 2_000, compactAtWaste: null },
      auth: { staticTokens: new Map([['a', alice]]) },
    });
    const app = await startApp(config, { logger: pino({ level: 'silent' }) });
    await app.ready;
    const shared = Array.from({ length: 50 }, (_, index) => `!shared${index}:hs.example`);
    const changes = shared.flatMap((roomId) =>
      [alice, bob].map((userId) => ({ userId, roomId, joined: true })),
    );
    await app.apply(changes);
    return { app, folder, workers, shared };
  }

  async function expectAcknowledged(folder: string, load: Load): Promise<void> {
    await verified(folder);
    const rooms = await exportedRooms(folder);
    expect(load.acknowledged.size).toBeGreaterThan(5);
    for (const user of load.acknowledged) expect(rooms.get(user), user).toBe(Load.roomsOfEach);
  }

  test('that of a shard, again and again: it is loaded again, and changes meanwhile are acknowledged', async () => {
    const { app, folder, workers, shared } = await start();
    const load = new Load(app);
    const statuses = new Map<number, number>();
    let victim = workers[0];
    for (let round = 0; round < 4; round += 1) {
      const started = workers.length;
      await sleep(150);
      await victim.terminate();
      for (let asked = 0; asked < 400 && (asked < 50 || workers.length === started); asked += 1) {
        const { status, json } = await count(app);
        statuses.set(status, (statuses.get(status) ?? 0) + 1);
        if (status === 200) expect(json.count).toBe(shared.length);
        else expect(status).toBe(503);
        await sleep(2);
      }
      expect(workers.length, 'another one was started in its place').toBeGreaterThan(started);
      victim = workers[workers.length - 1];
    }
    while ((await count(app)).status !== 200) await sleep(5);
    await load.stop();
    expect(load.refused, 'changes that were refused').toEqual([]);
    expect([...statuses.keys()].sort()).toEqual([200, 503]);
    await app.close();
    await expectAcknowledged(folder, load);
  });
});
