/**
 * Does any sequence of changes and questions, with pages read while the data changes, get an answer that the plainest
 * index would not give? `FUZZ_SEED=<seed>` replays what a failure printed.
 */
import { afterAll, describe, expect, test } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { packedCountMax, packedCountMin } from '../../src/sets/thresholds.js';
import { seededRandom, type Random } from '../model/random.js';
import { runs } from '../runs.js';
import { CheckedEngine, roomsByShard } from './checked-engine.js';

const replayed = process.env.FUZZ_SEED;
const seed = replayed === undefined ? Math.floor(Math.random() * 2 ** 32) : Number(replayed);

const users = Array.from({ length: 16 }, (_, index) => `@user${index}:example.org`);
/** The users whose sets grow to bitmaps. */
const heavyUsers = users.slice(0, 4);
const walksMax = 4;

let stepsMade = 0;
afterAll(() => {
  expect(stepsMade, 'steps of all runs').toBeGreaterThanOrEqual(runs(5_500, 100_000));
});

/** Sizes about which a set changes its form, and far from them. */
const sizes = [0, 1, 40, packedCountMin + 90, packedCountMax + 60].concat(
  [packedCountMin, packedCountMax].flatMap((border) => [-2, -1, 0, 1, 2].map((offset) => border + offset)),
);

function roomNamed(index: number): string {
  const id = `!${index}:example.org`;
  if (index % 50 === 0) return `!${'long'.repeat(200)}${index}:x`;
  if (index % 7 === 0) return `!"${index}\\\n☕`;
  return index % 5 === 0 ? `!${index}é:example.org` : id;
}

class Run {
  readonly #random: Random;
  readonly #checked: CheckedEngine;
  readonly #rooms: readonly string[];
  readonly #byShard: readonly (readonly string[])[];
  readonly #recent: Change[] = [];
  /** The most bytes of bitmaps that any moment had, in the engine. */
  bitmapBytesMax = 0;

  constructor(checked: CheckedEngine, random: Random, shards: number) {
    this.#checked = checked;
    this.#random = random;
    this.#rooms = Array.from({ length: (packedCountMax + 350) * Math.max(shards, 1) }, (_, index) =>
      roomNamed(index),
    );
    // All rooms too: the synchronous index has but one set for each user.
    this.#byShard = [...roomsByShard(this.#rooms, shards), this.#rooms];
  }

  async step(): Promise<void> {
    const drawn = this.#random(1000);
    const checked = this.#checked;
    if (drawn < 320) return checked.set(this.#anyChange());
    if (drawn < 480) return checked.set(this.#recentChange());
    if (drawn < 530) return checked.apply(this.#changes(1 + this.#random(40)));
    if (drawn < 550) return this.#resize();
    if (drawn < 554) return checked.forgetUser(this.#pick(users));
    if (drawn < 562) return checked.forgetRoom(this.#pick(this.#rooms));
    if (drawn < 690) return this.#mutual();
    if (drawn < 740)
      return checked.sharesMany(this.#user(), this.#usersOf(this.#random(20) === 0 ? 70 : this.#random(8)));
    if (drawn < 950) return this.#walk();
    if (drawn < 990) return this.#burst();
    return checked.expectStats();
  }

  /** Brings a user's rooms in one shard, or in all, to a size: in one batch, one by one over the border. */
  async #resize(): Promise<void> {
    const user = this.#pick(heavyUsers);
    const rooms = this.#pick(this.#byShard);
    const size = this.#pick(sizes);
    const joined = new Set(this.#checked.oracle.roomsOf(user));
    const have = rooms.filter((room) => joined.has(room));
    const from = have.length > size ? have : rooms.filter((room) => !joined.has(room));
    const count = Math.min(Math.abs(have.length - size), from.length);
    const offset = this.#random(from.length);
    const changes = Array.from({ length: count }, (_, index) => ({
      userId: user,
      roomId: from[(offset + index) % from.length],
      joined: from !== have,
    }));
    const alone = Math.min(3, count);
    await this.#checked.apply(changes.slice(0, count - alone));
    for (const change of changes.slice(count - alone)) {
      await this.#checked.set(change);
      await this.#checked.set({ ...change, joined: !change.joined });
      await this.#checked.set(change);
    }
    const { bytes } = await this.#checked.engine.stats();
    this.bitmapBytesMax = Math.max(this.bitmapBytesMax, bytes.bitmaps);
  }

  async #mutual(): Promise<void> {
    const asked = this.#usersOf(this.#random(30) === 0 ? 64 : 1 + this.#random(4));
    const limit = this.#pick([0, 1, 3, 20, 100, 10_000]);
    await this.#checked.mutual(asked, limit, this.#random(2) === 0 ? this.#pick(this.#rooms) : undefined);
  }

  async #walk(): Promise<void> {
    const { walks } = this.#checked;
    if (walks.length < walksMax && this.#random(3) === 0) {
      const count = this.#random(3) === 0 ? 1 + this.#random(4) : 2;
      const asked = Array.from({ length: count }, () =>
        this.#pick(this.#random(3) === 0 ? users : heavyUsers),
      );
      this.#checked.startWalk(asked, this.#pick([1, 2, 7, 30, 100]));
    }
    if (walks.length > 0) await this.#checked.stepWalk(this.#pick(walks));
  }

  /** Many calls at once, none of which waits for another. */
  async #burst(): Promise<void> {
    const under: { touched: Set<string>; checked: Promise<void> }[] = [];
    const applied: Promise<void>[] = [];
    const rooms = Array.from({ length: 3 }, () => this.#pick(this.#rooms));
    const pair = [this.#user(), this.#user()];
    for (let call = 2 + this.#random(12); call > 0; call -= 1) {
      if (this.#random(3) === 0) under.push(this.#checked.askWithoutWaiting(pair));
      const change = { userId: this.#pick(pair), roomId: this.#pick(rooms), joined: this.#random(2) === 0 };
      for (const { touched } of under) touched.add(change.roomId);
      applied.push(this.#checked.applyWithoutWaiting([change]));
    }
    under.push(this.#checked.askWithoutWaiting(pair));
    await Promise.all([...applied, ...under.map(({ checked }) => checked)]);
  }

  #anyChange(): Change {
    const change = { userId: this.#user(), roomId: this.#pick(this.#rooms), joined: this.#random(5) > 0 };
    if (this.#recent.push(change) > 64) this.#recent.shift();
    return change;
  }

  /** Of somebody who was here of late: leaves that hit, and joins anew. */
  #recentChange(): Change {
    if (this.#recent.length === 0) return this.#anyChange();
    return { ...this.#pick(this.#recent), joined: this.#random(2) === 0 };
  }

  #changes(count: number): Change[] {
    return Array.from({ length: count }, () =>
      this.#random(2) === 0 ? this.#anyChange() : this.#recentChange(),
    );
  }

  #user(): string {
    return this.#random(40) === 0 ? '@unknown:example.org' : this.#pick(users);
  }

  #usersOf(count: number): string[] {
    return Array.from({ length: count }, () => this.#user());
  }

  #pick<T>(list: readonly T[]): T {
    return list[this.#random(list.length)];
  }
}

// Threads answer more slowly than the caller's own, and say the same to the same calls.
const plans = [
  { shards: 0, times: runs(1, 20), steps: 4000 },
  { shards: 1, times: runs(0, 6), steps: 2500 },
  { shards: 2, times: runs(1, 3), steps: 1700 },
  { shards: 7, times: runs(0, 1), steps: 500 },
];

describe.each(plans.filter(({ times }) => times > 0))('$shards shards', ({ shards, times, steps }) => {
  test(`${times} runs of ${steps} steps (FUZZ_SEED=${seed})`, { timeout: 240_000 }, async () => {
    let walksEnded = 0;
    for (let run = 0; run < times; run += 1) {
      const checked = await CheckedEngine.open(shards);
      let step = 0;
      try {
        const fuzz = new Run(checked, seededRandom(seed + 1000 * shards + run), shards);
        for (; step < steps; step += 1) await fuzz.step();
        await checked.finish([...users, '@unknown:example.org']);
        // A few steps over many shards need not come so far.
        if (shards < 7) expect(fuzz.bitmapBytesMax, 'sets of this run became bitmaps').toBeGreaterThan(0);
      } catch (error) {
        throw new Error(`FUZZ_SEED=${seed}: ${shards} shards, run ${run}, step ${step}: ${String(error)}`, {
          cause: error,
        });
      } finally {
        await checked.engine.close();
      }
      stepsMade += steps;
      walksEnded += checked.walksEnded;
      // One step in seven to ten reads a page; of a few hundred steps it may be fewer.
      expect(checked.pagesRead, 'pages read').toBeGreaterThan(steps / 20);
    }
    expect(walksEnded, 'walks that came to their end').toBeGreaterThan(times * 5);
  });
});
