/**
 * Does any sequence of batches, folds, restarts, other numbers of shards, compactions and backups leave what the plainest
 * index would have, and do pages that were begun before go on after? `FUZZ_SEED=<seed>` replays what a failure printed.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, describe, expect, test } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { loadEngine, statsOf, type Engine } from '../../src/engine/engine.js';
import { countMembers } from '../../src/engine/members.js';
import { PageTokens } from '../../src/engine/page-token.js';
import { Ingest } from '../../src/ingest/ingest.js';
import { packedCountMax } from '../../src/sets/thresholds.js';
import { backupStore } from '../../src/store/backup.js';
import { compactStore } from '../../src/store/compact.js';
import { roomsPerRecordMax } from '../../src/store/layout.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { verifyStore } from '../../src/store/verify.js';
import { NaiveIndex } from '../model/naive-index.js';
import { seededRandom, type Random } from '../model/random.js';
import { isWhole, runs } from '../runs.js';

const replayed = process.env.FUZZ_SEED;
const seed = replayed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(replayed);

const people = Array.from({ length: 60 }, (_, index) => `@user${index}:example.org`);
/** Who grows beyond a record, and beyond a packed set. */
const bots = ['@small-bot:example.org', '@"large"\\bot☕'];
/** Who is in many rooms and leaves few of them: what its pages begin with is still there at their end. */
const steady = '@steady:example.org';
const everybody = [...people, ...bots, steady];
const rooms = Array.from({ length: packedCountMax + 400 }, (_, index) =>
  index % 41 === 3 ? `!"${index}\\é\n` : `!${'r'.repeat(index % 5)}${index}:example.org`,
);
const goneRooms = Array.from({ length: 1000 }, (_, index) => `!gone${index}`);
const walksMax = 3;

/** What all runs did: a fuzz that never folds, or never meets a bot, shows nothing. */
const done = { steps: 0, restarts: 0, compactions: 0, backups: 0, folds: 0, walks: 0, longWalks: 0 };
/** The most rooms that each bot had. */
const largest = bots.map(() => 0);
afterAll(() => {
  if (!isWhole) return;
  for (const [what, times] of Object.entries(done)) expect(times, what).toBeGreaterThan(5);
  expect(done.steps).toBeGreaterThan(700);
  expect(largest[0]).toBeGreaterThan(roomsPerRecordMax);
  expect(largest[1]).toBeGreaterThan(packedCountMax);
});

/** Pages of two users, read one by one while everything changes. */
interface Walk {
  readonly users: readonly [string, string];
  readonly limit: number;
  token: string | undefined;
  /** Shared all the while: each is returned exactly once. */
  readonly stable: Set<string>;
  /** Left since it began: joined again after a compaction dropped it, a room has another place and may come once more. */
  readonly left: Set<string>;
  readonly returned: Set<string>;
  /** How often the server was started anew since it began. */
  restarts: number;
}

class Run {
  readonly model = new NaiveIndex();
  readonly #random: Random;
  #directory: string;
  readonly #folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-fuzz-'));
  #folders = 0;
  #store!: LmdbStore;
  #engine!: Engine;
  #ingest!: Ingest;
  #tokens!: PageTokens;
  #cursor = 0;
  readonly #walks: Walk[] = [];

  constructor(random: Random) {
    this.#random = random;
    this.#directory = this.#newDirectory();
  }

  async open(): Promise<void> {
    const recentChangesMax = this.#pick([32, 256, 2048, 2 ** 20]);
    this.#store = await LmdbStore.open({ directory: this.#directory, limits: { recentChangesMax } });
    this.#engine = await loadEngine(this.#store, {
      shards: this.#pick([0, 0, 0, 1, 2, 5]),
      onProgress: () => undefined,
    });
    this.#ingest = new Ingest(this.#engine, this.#store);
    this.#tokens = new PageTokens({ identity: this.#store.identity });
    expect(this.#store.cursor('feed')?.[0]).toBe(this.#cursor === 0 ? undefined : this.#cursor & 255);
    for (const walk of this.#walks) walk.restarts += 1;
  }

  async close(): Promise<void> {
    await this.#engine.shards.close();
    await this.#store.close();
  }

  remove(): void {
    rmSync(this.#folder, { recursive: true });
  }

  async step(): Promise<void> {
    done.steps += 1;
    const drawn = this.#random(1000);
    if (drawn < 400) return this.#apply(this.#batches());
    if (drawn < 480) return this.#apply([this.#botBatch()]);
    if (drawn < 520) return this.#apply([this.#steadyBatch()]);
    if (drawn < 820) return this.#walk();
    if (drawn < 880) return this.#ask();
    if (drawn < 920) return this.#restart();
    if (drawn < 970) return this.#compact();
    if (drawn < 990) return this.#backUp();
    return this.expectAll();
  }

  /** Reads the pages that are left, and compares everything. */
  async finish(): Promise<void> {
    while (this.#walks.length > 0) await this.#stepWalk(this.#walks[0]);
    await this.expectAll();
    await this.#restart();
    await this.expectAll();
  }

  async expectAll(): Promise<void> {
    const pages = await Promise.all(everybody.map((user) => this.#engine.answerer.mutual([user])));
    for (const [at, user] of everybody.entries())
      expect(pages[at].rooms.toSorted(), user).toEqual(this.model.roomsOf(user));
    expect((await statsOf(this.#engine)).memberships).toBe(this.model.count);
    const counts = await countMembers(this.#engine);
    const members = new Map<string, number>();
    for (const user of everybody)
      for (const room of this.model.roomsOf(user)) members.set(room, (members.get(room) ?? 0) + 1);
    for (const room of rooms) {
      // Passers-by are in rooms, too, and are nobody of these.
      if (counts.countOf(room) < (members.get(room) ?? 0)) expect.fail(`members of ${room}`);
    }
    expect(rooms.concat(goneRooms).reduce((sum, room) => sum + counts.countOf(room), 0)).toBe(
      this.model.count,
    );
    const { recentChanges, memberships } = await verifyStore(this.#store.path);
    // Of what is not folded yet some says what holds already, so only without it there is one answer.
    if (recentChanges === 0) expect(memberships).toBe(this.model.count);
  }

  async #apply(batches: readonly Change[][]): Promise<void> {
    this.#cursor += 1;
    const cursor = { source: 'feed', value: Uint8Array.of(this.#cursor & 255) };
    const isFolding = this.#store.debt > 0;
    const answers = batches.map((batch, index) =>
      this.#ingest.apply(batch, index === batches.length - 1 ? cursor : undefined),
    );
    for (const [index, batch] of batches.entries()) {
      for (const { userId, roomId, joined } of batch) {
        for (const walk of this.#walks) {
          if (joined || !walk.users.includes(userId)) continue;
          walk.stable.delete(roomId);
          walk.left.add(roomId);
        }
      }
      expect(await answers[index]).toEqual(this.model.apply(batch));
    }
    if (isFolding || this.#store.debt > 0) done.folds += 1;
    for (const [index, bot] of bots.entries())
      largest[index] = Math.max(largest[index], this.model.roomsOf(bot).length);
  }

  /** One list or several at once, of lengths that go different ways; those at once are of one length, so they keep their order. */
  #batches(): Change[][] {
    const length = this.#pick([1, 1, 2, 10, 16, 17, 60, 300, 700]);
    const together = this.#random(3) === 0 ? 1 + this.#random(6) : 1;
    return Array.from({ length: together }, () => Array.from({ length }, () => this.#change()));
  }

  /** The same names again and again, and now and then one that is never joined again. */
  #change(): Change {
    const userId = this.#random(300) === 0 ? `@passer-by${this.#random(1000)}` : this.#pick(people);
    const roomId = this.#random(200) === 0 ? this.#pick(goneRooms) : rooms[this.#random(150)];
    return { userId, roomId, joined: this.#random(5) > 1 };
  }

  /** Takes a bot to a size, in any order of rooms. */
  #botBatch(): Change[] {
    const index = this.#random(bots.length);
    const sizes = index === 0 ? [0, 90, 100, 190, 200, 300] : [150, 600, packedCountMax - 20, rooms.length];
    const size = this.#pick(sizes);
    const have = new Set(this.model.roomsOf(bots[index]));
    const from = rooms.filter((room) => have.has(room) === have.size > size);
    const offset = this.#random(from.length);
    return Array.from({ length: Math.abs(have.size - size) }, (_, at) => ({
      userId: bots[index],
      roomId: from[(offset + at) % from.length],
      joined: have.size <= size,
    }));
  }

  #steadyBatch(): Change[] {
    const have = this.model.roomsOf(steady);
    if (have.length < 300)
      return rooms.slice(0, 1500).map((roomId) => ({ userId: steady, roomId, joined: true }));
    return Array.from({ length: 1 + this.#random(20) }, () => ({
      userId: steady,
      roomId: this.#pick(have),
      joined: false,
    }));
  }

  async #ask(): Promise<void> {
    for (let pairs = 0; pairs < 5; pairs += 1) {
      const pair = [this.#pick(everybody), this.#pick(everybody)];
      const { rooms: found, count } = await this.#engine.answerer.mutual(pair);
      expect([count, found.toSorted()]).toEqual([found.length, this.model.mutual(pair)]);
    }
  }

  async #walk(): Promise<void> {
    if (this.#walks.length < walksMax && this.#random(2) === 0) {
      const users = [
        this.#pick(bots),
        this.#random(2) === 0 ? this.#pick(bots) : this.#pick(people),
      ] as const;
      this.#walks.push({
        users: [users[0], users[1]],
        limit: this.#pick([3, 10, 40, 150]),
        token: undefined,
        stable: new Set(this.model.mutual(users)),
        left: new Set(),
        returned: new Set(),
        restarts: 0,
      });
    }
    if (this.#walks.length > 0) await this.#stepWalk(this.#pick(this.#walks));
  }

  async #stepWalk(walk: Walk): Promise<void> {
    const { users, limit, token } = walk;
    const binding = { purpose: 'fuzz', userId: users[0], otherId: users[1] };
    const start = token === undefined ? 0 : this.#tokens.open(token, binding);
    const page = await this.#engine.answerer.mutualPage(users, start, limit);
    const mutual = new Set(this.model.mutual(users));
    const found = JSON.parse(`[${Buffer.from(page.json).toString()}]`) as string[];
    expect(page.count).toBe(mutual.size);
    expect(found.length).toBeLessThanOrEqual(limit);
    for (const room of found) {
      if (!mutual.has(room)) expect.fail(`${room} is not mutual`);
      if (walk.returned.has(room) && !walk.left.has(room)) expect.fail(`${room} is returned twice`);
      walk.returned.add(room);
    }
    if (page.nextStart !== undefined) {
      expect(found).toHaveLength(limit);
      walk.token = this.#tokens.seal(page.nextStart, binding);
      return;
    }
    for (const room of walk.stable) if (!walk.returned.has(room)) expect.fail(`${room} is never returned`);
    this.#walks.splice(this.#walks.indexOf(walk), 1);
    done.walks += 1;
    if (walk.restarts > 0 && walk.returned.size > limit) done.longWalks += 1;
  }

  async #restart(): Promise<void> {
    await this.close();
    await this.open();
    done.restarts += 1;
  }

  async #compact(): Promise<void> {
    await this.close();
    const { memberships } = await compactStore({ directory: this.#directory });
    expect(memberships).toBe(this.model.count);
    await this.open();
    done.compactions += 1;
  }

  /** From a copy that is made beside the server, the copy is gone on with. */
  async #backUp(): Promise<void> {
    const copy = this.#newDirectory();
    await backupStore(this.#store.path, copy);
    await this.close();
    this.#directory = copy;
    await this.open();
    done.backups += 1;
  }

  #newDirectory(): string {
    this.#folders += 1;
    return join(this.#folder, String(this.#folders));
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random(list.length)];
  }
}

describe('a store beside the plainest index', () => {
  test.each(Array.from({ length: runs(1, 8) }, (_, run) => run))(
    `run %i (FUZZ_SEED=${seed})`,
    { timeout: 120_000 },
    async (number) => {
      const run = new Run(seededRandom(seed + number));
      let step = 0;
      try {
        await run.open();
        for (; step < runs(60, 150); step += 1) await run.step();
        await run.finish();
        await run.close();
      } catch (error) {
        throw new Error(`FUZZ_SEED=${seed}: run ${number}, step ${step}: ${String(error)}`, { cause: error });
      } finally {
        await run.close().catch(() => undefined);
        run.remove();
      }
    },
  );
});
