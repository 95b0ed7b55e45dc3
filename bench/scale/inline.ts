/**
 * The index on one thread, full: memory, load, and the questions by names and by numbers. Forked by bench/scale.ts.
 *
 * A first page is what the endpoint does in process: two look-ups, the intersection, the page's bytes, and a sealed token
 * where there is a next page. Names are new strings in each pass.
 */
import { randomBytes } from 'node:crypto';
import { MembershipIndex } from '#dist/engine/membership-index';
import { PageTokens } from '#dist/engine/page-token';
import { InlineShard } from '#dist/shard/inline-shard';
import { roomNames } from '#dist/directory/interner';
import { changeWord } from '#dist/log/changes';
import { sharesQuestion } from '#dist/shard/wire';
import { answerOrder, residentBytes } from '../child.js';
import { drawPairs, userIdOf, type Pair } from '../data/pairs.js';
import { Population } from '../data/population.js';
import { seededRandom } from '../harness.js';
import { Latencies, type Distribution } from './latencies.js';
import { loadInto, type Loaded } from './loading.js';

export interface InlineOrder {
  readonly users: number;
  readonly rooms: number;
  readonly pairs: number;
  readonly passes: number;
}

export interface SizedTime {
  readonly small: number;
  readonly large: number;
  readonly microseconds: number;
  /** Of a JS Map of Sets that holds these users alone. */
  readonly mapMicroseconds?: number;
}

export interface InlineAnswer {
  readonly loaded: Loaded;
  readonly residentBytes: number;
  /** Before anything was loaded: node, the bench, and the population's 8 bytes a room. */
  readonly residentBytesAtStart: number;
  readonly bytes: Readonly<Record<string, number>>;
  readonly nameBytes: { readonly user: number; readonly room: number };
  /** What the pairs are like. */
  readonly common: {
    readonly mean: number;
    readonly p99: number;
    readonly none: number;
    readonly paged: number;
  };
  readonly firstPage: Distribution;
  readonly sharesByNames: number;
  readonly sharesManyByNames: number;
  readonly sharesByNumbers: number;
  readonly growth: readonly SizedTime[];
  readonly bots: Distribution;
}

const pageSize = 100;
const tokens = new PageTokens({ identity: { tokenKey: randomBytes(32), epoch: 1, earlier: [] } });

/** @returns bytes of the answer, so that nothing is left undone */
function firstPage(index: MembershipIndex, users: readonly [string, string]): number {
  const { count, json, nextStart } = index.mutualPage(users, 0, pageSize);
  const token =
    nextStart === undefined
      ? ''
      : tokens.seal(nextStart, { purpose: 'mutual_rooms', userId: users[0], otherId: users[1] });
  return count + json.length + token.length;
}

/** The same by the plainest way: the smaller set is gone through. */
function firstPageOfSets(
  map: ReadonlyMap<string, ReadonlySet<string>>,
  [small, large]: readonly [string, string],
): number {
  const others = map.get(large)!;
  const rooms = [...map.get(small)!].filter((room) => others.has(room));
  return rooms.length + JSON.stringify(rooms.slice(0, pageSize)).length;
}

function named(population: Population, pairs: readonly Pair[]): (readonly [string, string])[] {
  return pairs.map(({ asker, other }) => [userIdOf(population, asker), userIdOf(population, other)]);
}

/** The median of the passes' rates. @returns questions a second */
function rateOf(passes: number, questions: number, prepare: () => () => void): number {
  const rates = Array.from({ length: passes }, () => {
    const ask = prepare();
    const started = performance.now();
    ask();
    return (questions / (performance.now() - started)) * 1000;
  });
  return rates.sort((left, right) => left - right)[passes >>> 1];
}

/** Users with exactly so many rooms, of which the smaller one's are half in the larger one's. */
function growthOf(index: MembershipIndex, rooms: number): SizedTime[] {
  const pairsOfSize = 32;
  const random = seededRandom(3);
  const sizes = [100, 1_000, 10_000, 100_000].filter((size) => size <= rooms / 2);
  const roomId = (room: number): string => `!growth${room}:example.org`;
  return sizes.map((large) => {
    const map = new Map<string, Set<string>>();
    const join = (userId: string, room: string): void => {
      index.join(userId, room);
      map.set(userId, (map.get(userId) ?? new Set()).add(room));
    };
    const pairs = Array.from({ length: pairsOfSize }, (_, pair) => {
      const users = [`@small.${large}.${pair}:growth`, `@large.${large}.${pair}:growth`] as const;
      const chosen = new Set<number>();
      while (chosen.size < large) chosen.add(random(rooms));
      const all = [...chosen];
      for (const room of all) join(users[1], roomId(room));
      for (let place = 0; place < 10; place += 1)
        join(users[0], roomId(place % 2 === 0 ? all[random(large)] : random(rooms)));
      return users;
    });
    const asked = Array.from({ length: 4_096 }, () => pairs[random(pairs.length)]);
    const perSecond = rateOf(7, asked.length, () => () => {
      for (const users of asked) firstPage(index, users);
    });
    const mapPerSecond = rateOf(7, asked.length, () => () => {
      for (const users of asked) firstPageOfSets(map, users);
    });
    return { small: 10, large, microseconds: 1e6 / perSecond, mapMicroseconds: 1e6 / mapPerSecond };
  });
}

/** Two who are in very many of the same rooms: each is the largest bot that the population could have. */
function botsOf(index: MembershipIndex, population: Population): Distribution {
  const rooms = Math.min(100_000, population.rooms);
  for (const bot of ['@bot.a:example.org', '@bot.b:example.org']) {
    for (let room = 0; room < rooms; room += 1)
      if (bot === '@bot.a:example.org' || room % 3 !== 0) index.join(bot, population.roomId(room));
  }
  const latencies = new Latencies(500);
  for (let turn = 0; turn < 600; turn += 1) {
    const started = performance.now();
    firstPage(index, ['@bot.a:example.org', '@bot.b:example.org']);
    if (turn >= 100) latencies.add(performance.now() - started);
  }
  return latencies.distribution();
}

/**
 * The same sets without names, of a million users at most (there is no memory for all twice): a shard of its own, asked in
 * batches of 1,000 users.
 */
async function byNumbers(population: Population): Promise<number> {
  const shard = new InlineShard({ partitions: { first: 0, end: 64 }, names: roomNames() });
  const users = Math.min(population.users, 1_000_000);
  for (let user = 0; user < users; user += 1) {
    const rooms = population.roomsOf(user);
    const changes = new Uint32Array(rooms.length * 2);
    for (let index = 0; index < rooms.length; index += 1) {
      changes[index * 2] = user + 1;
      changes[index * 2 + 1] = changeWord(
        ((rooms[index] % 64) * 2 ** 25 + (rooms[index] >>> 6)) as never,
        true,
      );
    }
    await shard.follow(1, changes);
  }
  const random = seededRandom(9);
  const batch = 1_000;
  return rateOf(9, batch * 200, () => {
    const questions = Array.from({ length: 200 }, () =>
      sharesQuestion(
        (1 + random(users)) as never,
        Array.from({ length: batch }, () => 1 + random(users)),
      ),
    );
    return () => {
      for (const question of questions) shard.askNow(question);
    };
  });
}

async function measure({ users, rooms, pairs, passes }: InlineOrder): Promise<InlineAnswer> {
  const population = new Population({ users, rooms });
  const index = new MembershipIndex();
  const residentBytesAtStart = residentBytes();
  const loaded = await loadInto(population, (changes) =>
    index.apply(
      changes.map(({ userId, roomId }) => ({
        user_id: userId,
        room_id: roomId,
        membership: 'join' as const,
      })),
    ),
  );
  const resident = residentBytes();
  const { bytes } = index.stats();

  const latencies = new Latencies(pairs * passes);
  let drawn: Pair[] = [];
  for (let pass = 0; pass <= passes; pass += 1) {
    // Other pairs in each pass: what one asks about is not in the cache for the next.
    drawn = drawPairs(population, pairs, pass + 1);
    const asked = named(population, drawn);
    globalThis.gc?.();
    for (const names of asked) {
      const started = performance.now();
      firstPage(index, names);
      // The first pass warms up.
      if (pass > 0) latencies.add(performance.now() - started);
    }
  }
  const counts = Uint32Array.from(
    named(population, drawn),
    (names) => index.mutualPage(names, 0, 0).count,
  ).sort();
  const sharesByNames = rateOf(passes + 2, pairs, () => {
    const asked = named(population, drawn);
    return () => {
      for (const [user, other] of asked) index.shares(user, other);
    };
  });
  const random = seededRandom(5);
  const others = 1_000;
  const lists = 20;
  const sharesManyByNames = rateOf(passes + 2, others * lists, () => {
    const asked = Array.from({ length: lists }, () => ({
      user: userIdOf(population, random(users)),
      others: Array.from({ length: others }, () => userIdOf(population, random(users))),
    }));
    return () => {
      for (const list of asked) index.sharesMany(list.user, list.others);
    };
  });
  return {
    loaded,
    residentBytes: resident,
    residentBytesAtStart,
    bytes,
    nameBytes: {
      user: averageLength(users, (user) => population.userId(user)),
      room: averageLength(rooms, (room) => population.roomId(room)),
    },
    common: {
      mean: counts.reduce((sum, count) => sum + count, 0) / pairs,
      p99: counts[Math.floor(pairs * 0.99)],
      none: counts.filter((count) => count === 0).length / pairs,
      paged: counts.filter((count) => count > pageSize).length / pairs,
    },
    firstPage: latencies.distribution(),
    sharesByNames,
    sharesManyByNames,
    sharesByNumbers: await byNumbers(population),
    growth: growthOf(index, 200_000),
    bots: botsOf(index, population),
  };
}

function averageLength(end: number, idOf: (number: number) => string): number {
  const sample = 2_000;
  let bytes = 0;
  for (let place = 0; place < sample; place += 1) bytes += idOf(Math.floor((place * end) / sample)).length;
  return bytes / sample;
}

await answerOrder(measure);
