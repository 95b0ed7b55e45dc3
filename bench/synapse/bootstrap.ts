/**
 * How long does the feed's first copy of all memberships take, and what memory? `serve` with an empty folder beside a PostgreSQL
 * with the tables of a Synapse, until it is ready; beside it the limit, the same COPY read to nowhere. Then a start without a copy,
 * and a copy into a full index, as after a database was put back, while questions are asked.
 *
 * How to read it: PostgreSQL, the program's threads and the bench share the cores, so on two of them rows/s are what is left of
 * those; processor time of the program (all threads) holds on a busy machine too.
 *
 * Cost: three minutes for three million memberships, and 5 GB of disk.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { join } from 'node:path';
import type { Client } from 'pg';
import { findPostgresPrograms } from '../../test/servers/postgres-programs.js';
import { PostgresServer } from '../../test/servers/postgres-server.js';
import { runChild } from '../child.js';
import { Population } from '../data/population.js';
import { formatNumber, seededRandom } from '../harness.js';
import type { Section } from '../results.js';
import type { CopyLimit, CopyLimitOrder } from './copy-limit.js';
import { fillMemberships, fillStream, makeTables } from './filled-database.js';
import { PacedQuestions, type Answered, type Question } from './paced-questions.js';
import { ServedFeed, type Copied, type ProcessUse } from './served-feed.js';

const database = 'bench';

export const databaseSettings = [
  'shared_buffers=1GB',
  'max_wal_size=8GB',
  'checkpoint_timeout=30min',
  'synchronous_commit=off',
];

const questionsPerSecond = 300;
const askers = 16;
const sampleUsers = 20_000;
const copyMsMax = 30 * 60_000;

export interface BootstrapOrder {
  /** About so many. */
  readonly memberships: number;
  readonly rounds: number;
  readonly restSeconds: number;
}

interface FirstCopy {
  readonly copied: Copied;
  readonly readySeconds: number;
  readonly use: ProcessUse;
}

export interface Bootstrap {
  readonly memberships: number;
  readonly users: number;
  readonly limits: readonly CopyLimit[];
  readonly kept: readonly FirstCopy[];
  readonly inMemory: readonly FirstCopy[];
  readonly restartSeconds: number;
  readonly recopy: Copied;
  readonly atRest: Answered;
  readonly meanwhile: Answered;
}

/** @throws NotInstalled */
export async function measureBootstrap(order: BootstrapOrder): Promise<Bootstrap> {
  const postgres = await PostgresServer.open(databaseSettings);
  try {
    await postgres.query('postgres', `CREATE DATABASE ${database}`);
    const client = await postgres.connect(database);
    try {
      return await measureWith(postgres, client, order);
    } finally {
      await client.end();
    }
  } finally {
    await postgres.close();
  }
}

async function measureWith(
  postgres: PostgresServer,
  client: Client,
  { memberships: about, rounds, restSeconds }: BootstrapOrder,
): Promise<Bootstrap> {
  const population = populationOf(about);
  await makeTables(client);
  const memberships = await fillMemberships(client, population);
  await fillStream(client);
  const limits: CopyLimit[] = [];
  const kept: FirstCopy[] = [];
  const inMemory: FirstCopy[] = [];
  const tokens = tokensOf(population);
  for (let round = 0; round < rounds; round += 1) {
    limits.push(await limitOf(postgres));
    inMemory.push(await firstCopy(await ServedFeed.make({ postgres, database, tokens, isKept: false })));
    if (round < rounds - 1) kept.push(await firstCopy(await ServedFeed.make({ postgres, database, tokens })));
  }
  const feed = await ServedFeed.make({ postgres, database, tokens });
  try {
    kept.push(await startOf(feed));
    await feed.stop();
    const restartSeconds = await feed.start();
    if (feed.copies().length !== 1) throw new Error('the second start copied all memberships again');
    const next = questionsOf(population);
    const resting = new PacedQuestions(feed.url, questionsPerSecond, next);
    await sleep(restSeconds * 1000);
    const atRest = await resting.stop();
    await putBack(client);
    const asked = new PacedQuestions(feed.url, questionsPerSecond, next);
    await client.query(
      "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mutual-rooms'",
    );
    const recopy = await secondCopy(feed);
    const meanwhile = await asked.stop();
    return {
      ...{ memberships, users: population.users, limits, kept, inMemory, restartSeconds },
      ...{ recopy, atRest, meanwhile },
    };
  } finally {
    await feed.close();
  }
}

/** With about so many memberships: how many a user has follows from the number of rooms. */
function populationOf(memberships: number): Population {
  const rooms = Math.round(memberships / 100);
  const sample = new Population({ users: sampleUsers, rooms });
  let sum = 0;
  // Bots come last, and are not of this sample's size.
  for (let user = 0; user < sampleUsers - sample.bots; user += 1) sum += sample.roomsOf(user).length;
  return new Population({ users: Math.round((memberships * sampleUsers) / sum), rooms });
}

/** The first users ask. */
function tokensOf(population: Population): Record<string, string> {
  return Object.fromEntries(
    Array.from({ length: askers }, (_, user) => [`token${user}`, population.userId(user)]),
  );
}

/** About any of the others. */
function questionsOf(population: Population): () => Question {
  const random = seededRandom(11);
  return () => ({
    token: `token${random(askers)}`,
    userId: population.userId(askers + random(population.users - askers)),
  });
}

async function limitOf({ host, port, superuser: user, password }: PostgresServer): Promise<CopyLimit> {
  const psql = join(findPostgresPrograms(), 'psql');
  const order: CopyLimitOrder = { place: { host, port, user }, database, password, psql };
  return runChild<CopyLimit>(new URL('./copy-limit.ts', import.meta.url), order);
}

async function firstCopy(feed: ServedFeed): Promise<FirstCopy> {
  try {
    return await startOf(feed);
  } finally {
    await feed.close();
  }
}

async function startOf(feed: ServedFeed): Promise<FirstCopy> {
  const readySeconds = await feed.start();
  return { copied: feed.copies()[0], readySeconds, use: feed.use() };
}

/**
 * As if an older state of the database came back: one membership in a hundred differs, half of them joined, and the stream is
 * another. There is a left one for every four joined, and half of the hashes are negative.
 */
async function putBack(client: Client): Promise<void> {
  await client.query(`
    UPDATE current_state_events SET membership = 'leave'
    WHERE type = 'm.room.member' AND membership = 'join' AND hashtext(event_id) % 200 = 0;
    UPDATE current_state_events SET membership = 'join'
    WHERE type = 'm.room.member' AND membership = 'leave' AND hashtext(event_id) % 25 = 1;
    UPDATE current_state_delta_stream SET event_id = event_id || '-'`);
  await client.query('VACUUM (ANALYZE) current_state_events');
}

async function secondCopy(feed: ServedFeed): Promise<Copied> {
  const began = performance.now();
  for (;;) {
    const copies = feed.copies();
    if (copies.length > 1) return copies[1];
    if (performance.now() - began > copyMsMax) throw new Error('the memberships were not copied again');
    await sleep(50);
  }
}

export function bootstrapSections(measured: Bootstrap): Section[] {
  const { memberships, users, limits, kept, inMemory, restartSeconds, recopy, atRest, meanwhile } = measured;
  const of = `${formatNumber(memberships)} memberships of ${formatNumber(users)} users`;
  const limit = memberships / best(limits.map((each) => each.bytes));
  const limitCells = (name: string, seconds: readonly number[], cpu = ''): string[] => {
    const rate = memberships / best(seconds);
    return [name, formatNumber(rate), ratio(rate / limit), range(seconds), cpu, '', '', ''];
  };
  const copyCells = (name: string, copies: readonly FirstCopy[]): string[] => {
    const seconds = copies.map(({ copied }) => copied.seconds);
    const rate = memberships / best(seconds);
    const cpu = Math.min(...copies.map(({ use }) => use.cpuSeconds));
    const peak = Math.min(...copies.map(({ use }) => use.peakBytes));
    const ready = range(copies.map(({ readySeconds }) => readySeconds));
    return [
      ...[name, formatNumber(rate), ratio(rate / limit), range(seconds), microseconds(cpu / memberships)],
      ...[ready, `${formatNumber(peak / 2 ** 20)} MiB`, formatNumber(peak / memberships)],
    ];
  };
  return [
    {
      title: `The first copy: ${of}`,
      text:
        'Rows/s of the best round, against the limit: the same COPY by the same client, read to nowhere. Seconds of all rounds. ' +
        'CPU is of the program, all threads, with its start; the peak is of the whole process.',
      header: ['', 'rows/s', '× limit', 'seconds', 'CPU, µs a row', 'ready, s', 'peak', 'B a membership'],
      rows: [
        limitCells(
          'psql, COPY to /dev/null',
          limits.map(({ psql }) => psql),
        ),
        limitCells(
          'limit: the client, to nowhere',
          limits.map(({ bytes }) => bytes),
        ),
        limitCells(
          'the client, rows as objects, to nowhere',
          limits.map(({ rows }) => rows),
          microseconds(best(limits.map(({ rowsCpu }) => rowsCpu)) / memberships),
        ),
        copyCells('serve, nothing kept', inMemory),
        copyCells('serve, into a store', kept),
      ],
      data: measured,
    },
    {
      title: `A start without a copy, and a copy into a full index: ${of}`,
      text: `The copy finds ${formatNumber(recopy.joined)} joined and ${formatNumber(recopy.left)} gone; ${questionsPerSecond} questions a second meanwhile.`,
      header: [
        '',
        'seconds',
        '× first copy',
        'questions',
        'failed',
        'p50',
        'p99',
        'longest',
        'p99 × at rest',
      ],
      rows: [
        ['second start, until ready', restartSeconds.toFixed(2), '', '', '', '', '', '', ''],
        questionCells('nothing happens', '', '', atRest, atRest),
        questionCells(
          'all is copied again',
          recopy.seconds.toFixed(2),
          ratio(recopy.seconds / best(kept.map(({ copied }) => copied.seconds))),
          meanwhile,
          atRest,
        ),
      ],
    },
  ];
}

function questionCells(
  name: string,
  seconds: string,
  times: string,
  { failures, latencies }: Answered,
  rest: Answered,
): string[] {
  const { count, p50, p99, most } = latencies;
  return [
    ...[name, seconds, times, formatNumber(count), failuresText(failures)],
    ...[p50, p99, most].map((each) => `${(each / 1000).toFixed(1)} ms`),
    ratio(p99 / rest.latencies.p99),
  ];
}

function failuresText(failures: Answered['failures']): string {
  const each = Object.entries(failures).map(([why, count]) => `${count} × ${why}`);
  return each.length === 0 ? 'none' : each.join(', ');
}

function best(seconds: readonly number[]): number {
  return Math.min(...seconds);
}

function range(seconds: readonly number[]): string {
  return [...seconds]
    .sort((left, right) => left - right)
    .map((each) => each.toFixed(2))
    .join(', ');
}

function microseconds(seconds: number): string {
  return formatNumber(seconds * 1e6);
}

function ratio(value: number): string {
  return `${formatNumber(value)} ×`;
}
