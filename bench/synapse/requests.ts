/**
 * How many requests a second does the sidecar answer, beside Synapse's own endpoint? The same pairs, the same access tokens, the
 * same client (wrk, 16 connections), in turn. Random pairs: some dozens of users ask about each of a large population, nobody
 * about the same one twice of Synapse, which remembers the rooms of whom it looked up. One pair: the same question for ever.
 *
 * How to read it: Synapse's main process answers, one thread, and PostgreSQL; the sidecar answers as it does by default (in one
 * thread on two cores), and with a worker thread for the index. wrk and either of them share the cores. First the answers about some of
 * the pairs are compared, all pages.
 *
 * Cost: a minute to fill and start, and 24 times `seconds`.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { isDeepStrictEqual, promisify } from 'node:util';
import { findProgram, NotInstalled } from '../../test/servers/find-program.js';
import { register, type MatrixClient } from '../../test/synapse/matrix-client.js';
import { Sidecar } from '../../test/synapse/sidecar.js';
import { SynapseServer } from '../../test/synapse/synapse-server.js';
import { TestHomeserver } from '../../test/synapse/test-homeserver.js';
import { Population } from '../data/population.js';
import { formatNumber, seededRandom, shuffle, type Random } from '../harness.js';
import type { Section } from '../results.js';
import { databaseSettings } from './bootstrap.js';
import { fillMemberships } from './filled-database.js';
import { pathOf } from './paced-questions.js';

const connections = 16;
const warmUpSeconds = 2;
const script = new URL('./pairs.lua', import.meta.url).pathname;

/** What is to be reached. */
const timesMin = 40;
const p99ShareMax = 0.1;

export interface RequestsOrder {
  readonly users: number;
  readonly rooms: number;
  readonly askers: number;
  readonly rounds: number;
  /** Of each load. */
  readonly seconds: number;
  /** Pairs whose answers are compared. */
  readonly compared: number;
}

interface Load {
  readonly requests: number;
  readonly seconds: number;
  /** Microseconds. */
  readonly p50: number;
  readonly p99: number;
  readonly most: number;
}

export interface Case {
  readonly name: string;
  readonly rounds: readonly { readonly theirs: Load; readonly ours: Load }[];
}

export interface Requests {
  readonly memberships: number;
  readonly users: number;
  readonly rooms: number;
  readonly compared: number;
  readonly sharing: number;
  readonly synapse: string;
  readonly cases: readonly Case[];
}

interface Asked {
  readonly asker: MatrixClient;
  readonly otherId: string;
}

/** @throws NotInstalled */
export async function measureRequests(order: RequestsOrder): Promise<Requests> {
  if (findProgram('wrk') === undefined) throw new NotInstalled('no wrk: apt-get install wrk');
  const homeserver = await TestHomeserver.open({ postgresSettings: databaseSettings });
  try {
    return await measureWith(homeserver, order);
  } finally {
    await homeserver.close();
  }
}

async function measureWith(homeserver: TestHomeserver, order: RequestsOrder): Promise<Requests> {
  const { users, rooms, rounds } = order;
  const { synapse, postgres } = homeserver;
  const population = new Population({ users, rooms });
  const random = seededRandom(21);
  const numbers = drawAskers(population, order.askers, random);
  const nameOf = (user: number): string => `asker${user}`;
  const userIdOf = (user: number): string =>
    numbers.has(user) ? `@${nameOf(user)}:${synapse.serverName}` : population.userId(user);
  const client = await postgres.connect(SynapseServer.database);
  // Before anybody is looked up, since Synapse goes on believing what it knows.
  const memberships = await fillMemberships(client, population, userIdOf);
  await client.query('VACUUM (FREEZE, ANALYZE) current_state_events');
  await client.end();
  const askers: MatrixClient[] = [];
  for (const user of numbers) askers.push(await register(synapse, nameOf(user)));
  const { server_version: version } = await askers[0].call<{ server_version: string }>(
    'GET',
    '/_synapse/admin/v1/server_version',
  );
  const others = shuffle(
    Uint32Array.from({ length: users }, (_, user) => user),
    random,
  );
  const asked: Asked[] = [];
  for (const user of others)
    if (!numbers.has(user)) asked.push({ asker: askers[random(askers.length)], otherId: userIdOf(user) });
  const sidecar = await Sidecar.open(homeserver, { sweepInterval: '1m' });
  const withThread = await Sidecar.open(homeserver, { sweepInterval: '1m', shards: 1 });
  try {
    const compared = asked.splice(0, order.compared);
    const { sharing, hot } = await compare(compared, synapse.url, sidecar.url);
    const race = async (
      name: string,
      { url }: Sidecar,
      pairsOf: (round: number) => readonly Asked[],
    ): Promise<Case> => {
      const loads: { theirs: Load; ours: Load }[] = [];
      for (let round = 0; round < rounds; round += 1) {
        const pairs = pairsOf(round);
        const theirs = await load(synapse.url, pairs, order.seconds);
        loads.push({ theirs, ours: await load(url, pairs, order.seconds) });
      }
      return { name, rounds: loads };
    };
    const warmUp = asked.splice(0, Math.floor(asked.length / (2 * rounds + 1)));
    for (const url of [synapse.url, sidecar.url, withThread.url]) await load(url, warmUp, warmUpSeconds);
    const share = Math.floor(asked.length / (2 * rounds));
    // Nobody is asked about twice: that would be in Synapse's cache.
    const pairsOf = (part: number): Asked[] => asked.slice(part * share, (part + 1) * share);
    const cases = [
      await race('random pairs', sidecar, pairsOf),
      await race('the same, shards: 1', withThread, (round) => pairsOf(rounds + round)),
      await race('one pair', sidecar, () => [hot]),
    ];
    // Behind it stands whatever repository the folder is in.
    const [number] = version.split(' ');
    return { memberships, users, rooms, compared: compared.length, sharing, synapse: number, cases };
  } finally {
    await sidecar.close();
    await withThread.close();
  }
}

/** People, likelier the more rooms they are in. */
function drawAskers(population: Population, count: number, random: Random): Set<number> {
  const people = population.users - population.bots;
  const askers = new Set<number>();
  const roomsMost = 50;
  while (askers.size < count) {
    const user = random(people);
    if (random(roomsMost) < population.roomsOf(user).length) askers.add(user);
  }
  return askers;
}

/** @returns how many of the pairs share rooms, and the pair that shares most. @throws when an answer differs */
async function compare(
  pairs: readonly Asked[],
  theirUrl: string,
  ourUrl: string,
): Promise<{ sharing: number; hot: Asked }> {
  let sharing = 0;
  let hot = pairs[0];
  let most = -1;
  for (const pair of pairs) {
    const theirs = await pair.asker.at(theirUrl).mutualRooms(pair.otherId);
    const ours = await pair.asker.at(ourUrl).mutualRooms(pair.otherId);
    if (!isDeepStrictEqual(theirs, ours))
      throw new Error(
        `${pair.asker.userId} and ${pair.otherId}: Synapse says ${JSON.stringify(theirs)}, we say ${JSON.stringify(ours)}`,
      );
    if (theirs.count > 0) sharing += 1;
    if (theirs.count <= most) continue;
    most = theirs.count;
    hot = pair;
  }
  return { sharing, hot };
}

/** @throws when any answer was not 200 */
async function load(url: string, pairs: readonly Asked[], seconds: number): Promise<Load> {
  const folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-pairs-'));
  try {
    const file = join(folder, 'pairs');
    writeFileSync(
      file,
      pairs.map(({ asker, otherId }) => `${asker.accessToken}\t${pathOf(otherId)}\n`).join(''),
      { mode: 0o600 },
    );
    const args = [
      '-t1',
      `-c${connections}`,
      `-d${seconds}s`,
      '--timeout',
      '10s',
      '-s',
      script,
      url,
      '--',
      file,
    ];
    const { stdout } = await promisify(execFile)('wrk', args);
    const { failed, ...measured } = JSON.parse(stdout.trim().split('\n').at(-1)!) as Load & {
      failed: number;
    };
    if (failed > 0) throw new Error(`${failed} of ${measured.requests} requests to ${url} failed`);
    return measured;
  } finally {
    rmSync(folder, { recursive: true });
  }
}

export function requestsSection(measured: Requests): Section {
  const { memberships, users, rooms, compared, sharing, synapse, cases } = measured;
  return {
    title: 'Requests of the endpoint against Synapse’s own',
    text:
      `${formatNumber(memberships)} memberships of ${formatNumber(users)} users in ${formatNumber(rooms)} rooms; Synapse ${synapse}; ` +
      `${connections} connections of wrk, in turn. Both gave the same rooms for ${compared} pairs, ${sharing} of which share any. ` +
      'Figures are medians of the rounds; the ratio is the median of the rounds’ ratios.',
    header: [
      ...['', 'Synapse, requests/s', 'ours', 'ratio', 'of rounds', `≥ ${timesMin} ×`],
      ...['Synapse, p50', 'ours', 'Synapse, p99', 'ours', 'p99, share', `≤ ${p99ShareMax}`],
    ],
    // The goals are for random pairs.
    rows: cases.map((each, index) => caseCells(each, index < 2)),
    data: measured,
  };
}

function caseCells({ name, rounds }: Case, hasGoals: boolean): string[] {
  const rate = ({ requests, seconds }: Load): number => requests / seconds;
  const ratios = rounds.map(({ theirs, ours }) => rate(ours) / rate(theirs));
  const shares = rounds.map(({ theirs, ours }) => ours.p99 / theirs.p99);
  const figures = (of: (load: Load) => number): [number, number] => [
    median(rounds.map(({ theirs }) => of(theirs))),
    median(rounds.map(({ ours }) => of(ours))),
  ];
  const milliseconds = (of: (load: Load) => number): string[] =>
    figures(of).map((each) => `${(each / 1000).toFixed(2)} ms`);
  const met = (isMet: boolean): string => (!hasGoals ? '' : isMet ? 'yes' : '**no**');
  return [
    ...[name, ...figures(rate).map(formatNumber), `${formatNumber(median(ratios))} ×`],
    `${formatNumber(Math.min(...ratios))} to ${formatNumber(Math.max(...ratios))}`,
    met(median(ratios) >= timesMin),
    ...milliseconds(({ p50 }) => p50),
    ...milliseconds(({ p99 }) => p99),
    ...[formatNumber(median(shares)), met(median(shares) <= p99ShareMax)],
  ];
}

function median(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[values.length >> 1];
}
