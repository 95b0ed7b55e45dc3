/**
 * Changes by names through the ingest into a store: how many a second, and how long a single one takes meanwhile. In a
 * process of its own, forked by the benches of the store.
 *
 * How to read it: making the IDs is a part of it, as reading a body would be. A single change's time is from when it was
 * due to its answer, so it holds every wait: for the event loop, for the commit before it, and for the disk.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Change } from '#dist/base/change';
import { PublicError } from '#dist/base/errors';
import { loadEngine, statsOf } from '#dist/engine/engine';
import { Ingest } from '#dist/ingest/ingest';
import { LmdbStore } from '#dist/store/lmdb-store';
import { answerOrder } from '../child.js';
import { fresh } from '../data/pairs.js';
import { Population } from '../data/population.js';
import { seededRandom, shuffle } from '../harness.js';
import { Latencies, type Distribution } from '../scale/latencies.js';
import { cpuByThread } from './threads.js';

export interface WritingOrder {
  readonly directory: string;
  readonly users: number;
  readonly rooms: number;
  readonly shards: number;
  /** All memberships of the population in random order into what is empty, or so many changes of random users. */
  readonly changes: 'all' | number;
  /** Of each phase with single changes; 0 leaves them out. */
  readonly seconds: number;
}

export interface Sustained {
  readonly changes: number;
  readonly seconds: number;
  /** Processor time of the main thread, and of the busiest others: the store's, a shard's. */
  readonly mainCpuSeconds: number;
  readonly otherCpuSeconds: readonly number[];
  readonly longestListMs: number;
}

export interface Singles {
  readonly times: Distribution;
  /** Of the single changes: too many waited. */
  readonly refused: number;
  /** What the others reached meanwhile. */
  readonly changesPerSecond: number;
}

export interface Writing {
  readonly sustained: Sustained;
  readonly alone: Singles | undefined;
  readonly paced: Singles | undefined;
  readonly unpaced: Singles | undefined;
  readonly memberships: number;
  readonly bytes: number;
}

const callers = 4;
const changesPerList = 500;
const pacedChangesPerSecond = 100_000;
const singlesPerSecond = 500;
/** So many joins, and then as many leaves of the same. */
const round = 1_500_000;

/** The changes to be made, one after the other. */
type NextChange = () => Change;

class Writer {
  readonly #ingest: Ingest;
  readonly #next: NextChange;

  constructor(ingest: Ingest, next: NextChange) {
    this.#ingest = ingest;
    this.#next = next;
  }

  async sustain(count: number): Promise<Sustained> {
    let left = count;
    let longestListMs = 0;
    const before = cpuByThread();
    const started = performance.now();
    const call = async (): Promise<void> => {
      while (left > 0) {
        const length = Math.min(left, changesPerList);
        left -= length;
        const list = this.#list(length);
        const sent = performance.now();
        await this.#ingest.apply(list);
        longestListMs = Math.max(longestListMs, performance.now() - sent);
      }
    };
    await Promise.all(Array.from({ length: callers }, call));
    const seconds = (performance.now() - started) / 1000;
    return { changes: count, seconds, longestListMs, ...cpuByThread(before) };
  }

  /** Single changes at random moments, while callers send lists. @param changesPerSecond of the lists; 0 sends none */
  async singles(seconds: number, changesPerSecond: number): Promise<Singles> {
    const random = seededRandom(11);
    const latencies = new Latencies(seconds * singlesPerSecond * 2);
    const started = performance.now();
    const end = started + seconds * 1000;
    let made = 0;
    let refused = 0;
    const call = async (_: unknown, caller: number): Promise<void> => {
      for (let list = 0; performance.now() < end; list += 1) {
        // A caller is due when it would have sent as much as its share.
        const due =
          started + (((list + caller / callers) * callers * changesPerList) / changesPerSecond) * 1000;
        if (due > performance.now()) await sleep(due - performance.now());
        await this.#ingest.apply(this.#list(changesPerList));
        made += changesPerList;
      }
    };
    const others = changesPerSecond === 0 ? [] : Array.from({ length: callers }, call);
    const asked: Promise<unknown>[] = [];
    let due = started;
    for (;;) {
      due += (random(2_000) / 1_000 / singlesPerSecond) * 1000;
      if (due >= end) break;
      if (due > performance.now()) await sleep(due - performance.now());
      const dueAt = due;
      const answered = this.#ingest.apply([this.#next()]).then(
        () => latencies.add(performance.now() - dueAt),
        // Too many wait already: a disk that stands still for a moment.
        (error: unknown) => {
          if (!(error instanceof PublicError && error.code === 'OVERLOADED')) throw error;
          refused += 1;
        },
      );
      answered.catch(() => undefined);
      asked.push(answered);
    }
    await Promise.all([...asked, ...others]);
    return {
      times: latencies.distribution(),
      refused,
      changesPerSecond: made / ((performance.now() - started) / 1000),
    };
  }

  #list(length: number): Change[] {
    return Array.from({ length }, this.#next);
  }
}

/** Joins of random users, and then the same as leaves, and again. */
function randomChanges(population: Population, roomIds: readonly string[]): NextChange {
  let made = 0;
  let random = seededRandom(0);
  return () => {
    const turn = Math.floor(made / round);
    if (made % round === 0) random = seededRandom(31 + (turn >>> 1));
    made += 1;
    const userId = fresh(population.userId(random(population.users)));
    return { userId, roomId: fresh(roomIds[random(roomIds.length)]), joined: turn % 2 === 0 };
  };
}

/** All memberships, in random order. */
function allMemberships(
  population: Population,
  roomIds: readonly string[],
): { readonly count: number; readonly next: NextChange } {
  let count = 0;
  for (let user = 0; user < population.users; user += 1) count += population.roomsOf(user).length;
  const users = new Uint32Array(count);
  const rooms = new Uint32Array(count);
  let end = 0;
  for (let user = 0; user < population.users; user += 1) {
    const drawn = population.roomsOf(user);
    users.fill(user, end, end + drawn.length);
    rooms.set(drawn, end);
    end += drawn.length;
  }
  const order = shuffle(
    Uint32Array.from({ length: count }, (_, index) => index),
    seededRandom(5),
  );
  let at = 0;
  return {
    count,
    next: () => {
      const place = order[at++];
      const userId = fresh(population.userId(users[place]));
      return { userId, roomId: fresh(roomIds[rooms[place]]), joined: true };
    },
  };
}

async function measure(order: WritingOrder): Promise<Writing> {
  const { directory, shards, changes, seconds } = order;
  const population = new Population(order);
  const roomIds = Array.from({ length: population.rooms }, (_, room) => population.roomId(room));
  const store = await LmdbStore.open({ directory });
  const engine = await loadEngine(store, { shards, onProgress: () => undefined });
  const ingest = new Ingest(engine, store);
  let sustained: Sustained;
  if (changes === 'all') {
    const all = allMemberships(population, roomIds);
    sustained = await new Writer(ingest, all.next).sustain(all.count);
  } else {
    sustained = await new Writer(ingest, randomChanges(population, roomIds)).sustain(changes);
  }
  const { memberships } = await statsOf(engine);
  const { bytes } = store;
  const writer = new Writer(ingest, randomChanges(population, roomIds));
  const singles = async (changesPerSecond: number): Promise<Singles | undefined> =>
    seconds === 0 ? undefined : writer.singles(seconds, changesPerSecond);
  const answer = {
    ...{ sustained, memberships, bytes },
    alone: await singles(0),
    paced: await singles(pacedChangesPerSecond),
    unpaced: await singles(Infinity),
  };
  await engine.shards.close();
  await store.close();
  return answer;
}

await answerOrder(measure);
