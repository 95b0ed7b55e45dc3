/**
 * What do questions feel of changes? An engine is asked at random moments, a few thousand times a second, first at rest,
 * then while a feed applies changes at a given rate, and then while two bots are asked about every few milliseconds. Forked
 * by bench/scale.ts.
 *
 * How to read it: a question's time is from when it was due to its answer, so it holds every wait: for changes, for the event
 * loop, for the worker, and for questions before it. The feed is paced; every other round undoes the one before it.
 */
import { monitorEventLoopDelay } from 'node:perf_hooks';
import { setTimeout } from 'node:timers/promises';
import type { Change } from '#dist/base/change';
import { openEngine, type Engine } from '#dist/engine/engine';
import { numberChanges } from '#dist/engine/numbering';
import { answerOrder } from '../child.js';
import { drawPairs, userIdOf } from '../data/pairs.js';
import { Population } from '../data/population.js';
import { seededRandom } from '../harness.js';
import { Latencies, type Distribution } from './latencies.js';
import { loadInto } from './loading.js';

export interface ChangesOrder {
  readonly users: number;
  readonly rooms: number;
  readonly shards: number;
  readonly changesPerSecond: number;
  readonly seconds: number;
}

export interface Phase {
  readonly questions: Distribution;
  /** The longest that the thread of the questions did nothing else, in milliseconds. */
  readonly longestPauseMs: number;
  /** Reached. */
  readonly changesPerSecond: number;
}

export interface ChangesAnswer {
  readonly rest: Phase;
  readonly underChange: Phase;
  /** The same changes in ten lists a second. */
  readonly underLongLists: Phase;
  readonly besideBots: Phase;
}

const questionsPerSecond = 2_000;
const botsEveryMs = 4;

async function applyTo({ directory, shards }: Engine, changes: readonly Change[]): Promise<void> {
  await shards.follow(shards.from, await numberChanges(directory, changes));
}

class Runner {
  readonly #engine: Engine;
  readonly #random = seededRandom(21);
  readonly #pairs: readonly (readonly [string, string])[];
  /** Made beforehand: the feed's own work is not what is measured. */
  readonly #joins: readonly { readonly userId: string; readonly roomId: string }[];
  #next = 0;

  constructor(engine: Engine, population: Population) {
    this.#engine = engine;
    this.#pairs = drawPairs(population, 4_000)
      .filter(({ asker, other }) => other !== -1 && !population.isBot(asker) && !population.isBot(other))
      .map(({ asker, other }) => [userIdOf(population, asker), userIdOf(population, other)]);
    this.#joins = Array.from({ length: 49_999 }, () => ({
      userId: population.userId(this.#random(population.users)),
      roomId: population.roomId(this.#random(population.rooms)),
    }));
  }

  async phase(seconds: number, beside: (isOver: () => boolean) => Promise<number>): Promise<Phase> {
    const latencies = new Latencies(seconds * questionsPerSecond * 2);
    const end = performance.now() + seconds * 1000;
    const isOver = (): boolean => performance.now() >= end;
    const delay = monitorEventLoopDelay({ resolution: 1 });
    delay.enable();
    const [changes] = await Promise.all([beside(isOver), this.#ask(end, latencies)]);
    delay.disable();
    return {
      questions: latencies.distribution(),
      longestPauseMs: delay.max / 1e6,
      changesPerSecond: changes / seconds,
    };
  }

  /** Each question is due at its own time, whatever became of the one before; its time runs from when it was due. */
  async #ask(end: number, latencies: Latencies): Promise<void> {
    const asked: Promise<unknown>[] = [];
    let due = performance.now();
    for (;;) {
      due += (this.#random(2_000) / 1_000 / questionsPerSecond) * 1000;
      if (due >= end) break;
      while (performance.now() < due) await new Promise(setImmediate);
      const dueAt = due;
      const users = this.#pairs[this.#next++ % this.#pairs.length];
      const noted = this.#engine.answerer
        .mutualPage(users, 0, 100)
        .then(() => latencies.add(performance.now() - dueAt));
      asked.push(noted);
    }
    await Promise.all(asked);
  }

  /** @returns how many changes were applied */
  async feed(changesPerSecond: number, listsPerSecond: number, isOver: () => boolean): Promise<number> {
    const started = performance.now();
    let made = 0;
    while (!isOver()) {
      const due = Math.floor(((performance.now() - started) / 1000) * changesPerSecond);
      const count = changesPerSecond / listsPerSecond;
      if (due < made + count) {
        await new Promise(setImmediate);
        continue;
      }
      await applyTo(
        this.#engine,
        Array.from({ length: count }, () => this.#change(made++)),
      );
    }
    return made;
  }

  /** Somebody joins a room, and leaves it a round later; one change in fifty brings a new user, one in 500 a new room. */
  #change(number: number) {
    const { userId, roomId } = this.#joins[number % this.#joins.length];
    return {
      userId: number % 50 === 0 ? `@new.${number}:example.org` : userId,
      roomId: number % 500 === 0 ? `!new.${number}:example.org` : roomId,
      joined: Math.floor(number / this.#joins.length) % 2 === 0,
    };
  }

  /** Asks about two bots, a few hundred times a second. */
  async askBots(isOver: () => boolean): Promise<number> {
    while (!isOver()) {
      await this.#engine.answerer.mutualPage(['@bot.a:example.org', '@bot.b:example.org'], 0, 100);
      await setTimeout(botsEveryMs);
    }
    return 0;
  }
}

async function measure(order: ChangesOrder): Promise<ChangesAnswer> {
  const { users, rooms, shards, changesPerSecond, seconds } = order;
  const population = new Population({ users, rooms });
  const engine = await openEngine({ shards });
  await loadInto(population, (changes) => applyTo(engine, changes));
  for (const userId of ['@bot.a:example.org', '@bot.b:example.org']) {
    const joins = Array.from({ length: Math.min(100_000, rooms) }, (_, room) => population.roomId(room));
    await applyTo(
      engine,
      joins.map((roomId) => ({ userId, roomId, joined: true })),
    );
  }
  const runner = new Runner(engine, population);
  await runner.phase(Math.min(2, seconds), async () => 0);
  const rest = await runner.phase(seconds, async () => 0);
  const underChange = await runner.phase(seconds, async (isOver) =>
    runner.feed(changesPerSecond, 1_000, isOver),
  );
  const underLongLists = await runner.phase(seconds, async (isOver) =>
    runner.feed(changesPerSecond, 10, isOver),
  );
  const besideBots = await runner.phase(seconds, async (isOver) => runner.askBots(isOver));
  await engine.shards.close();
  return { rest, underChange, underLongLists, besideBots };
}

await answerOrder(measure);
