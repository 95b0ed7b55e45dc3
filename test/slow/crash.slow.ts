/**
 * Is what was acknowledged there after a `kill -9`, and nothing half there? Real processes, killed at random moments under
 * write load, again and again on the same store. The long one is
 * `CRASH_ROUNDS=200 npm run test:slow -- test/slow/crash.slow.ts`.
 */
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, test } from 'vitest';
import { seededRandom } from '../model/random.js';
import { openFolder, postMemberships, runCommand, serveWith, type ServeProcess } from './serve-process.js';

const rounds = Number(process.env.CRASH_ROUNDS ?? 20);
const seed = Number(process.env.CRASH_SEED ?? Date.now() % 2 ** 31);

const alice = '@alice:hs.example';
const bob = '@bob:hs.example';
const pageRooms = Array.from({ length: 12 }, (_, index) => `!page${index}:hs.example`);

/** Each has its own users, so that what it says of a membership has an order. */
const writerCount = 4;
const usersPerWriter = 10;
const roomCount = 400;

/** One request: its changes are of one user and go into one commit, whole or not at all. */
interface Batch {
  readonly user: string;
  readonly rooms: readonly string[];
  readonly joined: boolean;
}

/** What one writer knows: the rooms of its users as acknowledged, and the request that is under way. */
class Writer {
  readonly rooms = new Map<string, Set<string>>();
  underWay: Batch | undefined;
  acknowledged = 0;
  readonly #index: number;
  readonly #random: (below: number) => number;
  #newRooms = 0;

  constructor(index: number) {
    this.#index = index;
    this.#random = seededRandom(seed + index);
  }

  /** Writes until the server is gone. */
  async run(url: string): Promise<void> {
    for (;;) {
      this.underWay = this.#next();
      try {
        const response = await post(url, this.underWay);
        // Refused for now: nothing of it is kept, and there is no need to wait.
        if (response.status === 503) continue;
        expect(response.status).toBe(200);
        await response.text();
      } catch (error) {
        if (error instanceof TypeError) return;
        throw error;
      }
      apply(this.#roomsOf(this.underWay.user), this.underWay);
      this.underWay = undefined;
      this.acknowledged += 1;
    }
  }

  /** The server is up again: what was under way is there whole, or not at all. @returns whether it is */
  settle(found: ReadonlyMap<string, ReadonlySet<string>>): boolean {
    const { underWay } = this;
    this.underWay = undefined;
    const after = new Set(this.rooms.get(underWay?.user ?? ''));
    if (underWay !== undefined) apply(after, underWay);
    let isMade = false;
    for (const [user, rooms] of this.rooms) {
      const there = found.get(user) ?? new Set();
      if (user === underWay?.user && !isSame(there, rooms)) {
        const { joined, rooms: batch } = underWay;
        const what = `${user}: the batch under way is whole (${joined ? 'joins' : 'leaves'} ${batch.join(' ')})`;
        expect([...there].sort(), what).toEqual([...after].sort());
        this.rooms.set(user, after);
        isMade = true;
      } else expect([...there].sort(), `${user}: all that was acknowledged`).toEqual([...rooms].sort());
    }
    return isMade;
  }

  #next(): Batch {
    const user = `@w${this.#index}u${this.#random(usersPerWriter)}:hs.example`;
    this.#roomsOf(user);
    const size = this.#random(3) === 0 ? 1 : 1 + this.#random(80);
    const rooms = new Set<string>();
    while (rooms.size < size) {
      // Some that nobody has seen, so that names are written all the time.
      if (this.#random(20) === 0) rooms.add(`!new${this.#index}.${(this.#newRooms += 1)}:hs.example`);
      else rooms.add(`!room${this.#random(roomCount)}:hs.example`);
    }
    return { user, rooms: [...rooms], joined: this.#random(5) > 1 };
  }

  #roomsOf(user: string): Set<string> {
    let rooms = this.rooms.get(user);
    if (rooms === undefined) this.rooms.set(user, (rooms = new Set()));
    return rooms;
  }
}

function apply(rooms: Set<string>, { rooms: changed, joined }: Batch): void {
  for (const room of changed) {
    if (joined) rooms.add(room);
    else rooms.delete(room);
  }
}

function isSame(left: ReadonlySet<string>, right: ReadonlySet<string>): boolean {
  return left.size === right.size && [...left].every((room) => right.has(room));
}

function post(url: string, { user, rooms, joined }: Batch): Promise<Response> {
  const membership = joined ? 'join' : 'leave';
  return postMemberships(
    { url },
    rooms.map((room) => ({ user_id: user, room_id: room, membership })),
  );
}

async function page(url: string, from: string): Promise<{ joined: string[]; next_batch?: string }> {
  const path = `/_matrix/client/v1/mutual_rooms?user_id=${encodeURIComponent(bob)}&from=${from}`;
  const response = await fetch(url + path, { headers: { authorization: 'Bearer a' } });
  expect(response.status).toBe(200);
  return (await response.json()) as { joined: string[]; next_batch?: string };
}

async function walk(url: string, from: string): Promise<string[]> {
  const { joined, next_batch: next } = await page(url, from);
  return next === undefined ? joined : [...joined, ...(await walk(url, next))];
}

async function command(...args: string[]): Promise<string> {
  const { child, output } = runCommand(...args);
  const [code] = (await once(child, 'close')) as [number];
  expect([code, code === 0 ? '' : output()], args.join(' ')).toEqual([0, '']);
  return output();
}

/** Every user's rooms, as `export` tells them. */
async function exported(dataDir: string): Promise<Map<string, Set<string>>> {
  const found = new Map<string, Set<string>>();
  for (const line of (await command('export', '--data-dir', dataDir)).split('\n')) {
    if (!line.startsWith('{')) continue;
    const { user_id: user, room_id: room } = JSON.parse(line) as { user_id: string; room_id: string };
    const rooms = found.get(user) ?? new Set();
    expect(rooms.has(room), 'a membership is exported once').toBe(false);
    found.set(user, rooms.add(room));
  }
  return found;
}

async function kill(server: ServeProcess, afterMs: number): Promise<void> {
  await sleep(afterMs);
  const ended = once(server.child, 'exit');
  server.child.kill('SIGKILL');
  await ended;
}

/** A start is killed wherever it is: while it takes the store over, reads it, or just serves. */
async function killStart(config: string, afterMs: number): Promise<void> {
  const { child } = runCommand('serve', '--config', config);
  const ended = once(child, 'exit');
  await sleep(afterMs);
  child.kill('SIGKILL');
  expect(await ended).toEqual([null, 'SIGKILL']);
}

test(`${rounds} kills (CRASH_SEED=${seed})`, { timeout: rounds * 30_000 }, async () => {
  const folder = await openFolder();
  const dataDir = join(folder, 'data');
  const random = seededRandom(seed);
  const writers = Array.from({ length: writerCount }, (_, index) => new Writer(index));
  const configOf = (shards: number): string =>
    // Folded all the time, so that a kill meets it.
    `listen: { port: 0 }\ndata_dir: ${dataDir}\nshards: ${shards}\nservice_token: secret\nrate_limit: null\n` +
    'store: { recent_changes_max: 1000 }\npage_size: 3\nlog_level: warn\n' +
    `auth: { static_tokens: { a: "${alice}" } }\n`;
  let token = '';
  let rest: string[] = [];
  let madeUnderWay = 0;
  for (let round = 0; round < rounds; round += 1) {
    const config = join(folder, 'config.yaml');
    // Another number of shards each time: what was written by one is read by another.
    await writeFile(config, configOf(round % 4));
    const server = await serveWith(config);
    if (round === 0) {
      for (const user of [alice, bob])
        expect((await post(server.url, { user, rooms: pageRooms, joined: true })).status).toBe(200);
    } else expect(await walk(server.url, token), 'the token of the round before').toEqual(rest);
    ({ next_batch: token = '' } = await page(server.url, ''));
    rest = await walk(server.url, token);
    expect(rest).toHaveLength(pageRooms.length - 3);

    const written = writers.map((writer) => writer.run(server.url));
    await kill(server, 20 + random(700));
    await Promise.all(written);
    if (random(2) === 0) await killStart(config, random(700));

    expect(await command('verify', '--data-dir', dataDir)).toContain('has no fault');
    const found = await exported(dataDir);
    for (const writer of writers) if (writer.settle(found)) madeUnderWay += 1;
    expect([...(found.get(alice) ?? [])].sort()).toEqual([...pageRooms].sort());

    if (round % 3 === 2) {
      await command('compact', '--data-dir', dataDir);
      expect(await exported(dataDir), 'a compaction loses nothing').toEqual(found);
    }
  }
  const acknowledged = writers.reduce((sum, writer) => sum + writer.acknowledged, 0);
  console.log(
    `${rounds} kills, ${acknowledged} batches acknowledged and there; ${madeUnderWay} of those under way were made, whole`,
  );
  expect(acknowledged).toBeGreaterThan(rounds * 10);
});
