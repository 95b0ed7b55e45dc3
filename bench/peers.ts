/**
 * Is this index worth having, beside what an operator would use instead? A Map of Sets, Redis and PostgreSQL, and two ways
 * that do without names, as limits, are told the same memberships and asked the same questions in the same run:
 *
 *   first page   how many rooms do these two share, and the first 100 of them as JSON
 *   shares       do these two share a room
 *
 * First, every peer's whole answer to every pair is compared with the population itself; then they are timed in turn. The
 * pairs are new strings in each run, as requests bring them.
 *
 * How to read it: each is so many times slower or faster than this index in the same run. What is in process pays no
 * socket, and so it should win against what is across one: an operator who asks Redis pays that socket, and so does one
 * who asks this index over HTTP (bench/http.ts). "By numbers" pays for no name. p50 and p99 are of questions asked one at
 * a time, each with a reading of the clock in it (some 50 ns). Bytes are counted in different ways; the table says which.
 *
 * Cost: about a minute; all peers together take some 500 bytes a membership.
 */
import { NotInstalled } from '../test/servers/find-program.js';
import { drawPairs, userIdOf } from './data/pairs.js';
import { Population } from './data/population.js';
import { formatNanoseconds, formatNumber, relativeTime, type RunOptions } from './harness.js';
import { checkAnswers } from './peers/check.js';
import { localPeers, type LocalPeerName } from './peers/local-peers.js';
import { growthOf } from './peers/memory.js';
import { memberBatches, pageSize, type NamedPair, type Peer } from './peers/peer.js';
import { openPostgres } from './peers/postgres-peer.js';
import { openRedis } from './peers/redis-peer.js';
import { pipelineDepth, speedsOf, type Speed } from './peers/speeds.js';
import { printSection, type Section } from './results.js';
import { noteVerdict } from './verdict.js';

const serverPeers = { redis: openRedis, postgres: openPostgres } as const;

type PeerName = LocalPeerName | keyof typeof serverPeers;

const peerNames = [...Object.keys(localPeers), ...Object.keys(serverPeers)] as PeerName[];

export interface PeersOptions {
  readonly users: number;
  readonly rooms: number;
  readonly pairCount: number;
  /** For each peer and question, and twice for servers. */
  readonly timeMs?: number;
  /** Whether to fill a process a peer in process, to see what it grows by. Default: yes. */
  readonly withMemory?: boolean;
  /** Peers that cannot hold so much. Not ours, which the others are compared with. */
  readonly without?: readonly Exclude<PeerName, 'index'>[];
}

export interface PeerResult {
  readonly name: string;
  readonly where: Peer['where'];
  readonly loadedPerSecond: number;
  /** Null when it was not measured. */
  readonly bytesPerMembership: number | null;
  readonly bytesAre: string;
  readonly firstPage: Speed;
  readonly shares: Speed;
}

/** Plain data, to be written down as JSON. */
export interface PeersResult {
  readonly users: number;
  readonly rooms: number;
  readonly memberships: number;
  readonly pairs: number;
  readonly pageSize: number;
  readonly pipelineDepth: number;
  /** Ours first. */
  readonly peers: readonly PeerResult[];
  /** Why others are missing. */
  readonly skipped: readonly string[];
}

/** @throws when a peer answers wrongly */
export async function comparePeers(options: PeersOptions): Promise<PeersResult> {
  const { users, rooms, pairCount, timeMs = 600, withMemory = true, without = [] } = options;
  const population = new Population({ users, rooms });
  const numbers = drawPairs(population, pairCount);
  const draw = (): NamedPair[] =>
    numbers.map(({ asker, other }) => ({
      userIds: [userIdOf(population, asker), userIdOf(population, other)],
      users: [asker, other],
    }));
  const opened: { readonly name: PeerName; readonly peer: Peer }[] = [];
  const skipped: string[] = [];
  try {
    for (const name of peerNames.filter((each) => !without.some((left) => left === each))) {
      try {
        opened.push({ name, peer: await open(name) });
      } catch (error) {
        if (!(error instanceof NotInstalled)) throw error;
        skipped.push(`${name} is skipped: ${error.message}`);
      }
    }
    const loaded: (Load & Bytes)[] = [];
    for (const { name, peer } of opened)
      loaded.push({
        ...(await load(peer, population)),
        ...(withMemory ? await bytesOf(name, peer, population) : { bytes: null, bytesAre: 'not measured' }),
      });
    const peers = opened.map(({ peer }) => peer);
    for (const peer of peers) await checkAnswers(peer, draw(), population);
    const firstPages = await speedsOf(peers, draw, 'firstPage', timeMs);
    const shares = await speedsOf(peers, draw, 'shares', timeMs);
    const [{ memberships }] = loaded;
    return {
      ...{ users, rooms, memberships, pairs: pairCount, pageSize, pipelineDepth },
      peers: peers.map(({ name, where }, index) => ({
        ...{ name, where },
        loadedPerSecond: memberships / loaded[index].seconds,
        bytesPerMembership: bytesPer(loaded[index].bytes, memberships),
        bytesAre: loaded[index].bytesAre,
        firstPage: firstPages[index],
        shares: shares[index],
      })),
      skipped,
    };
  } finally {
    await Promise.allSettled(opened.map(async ({ peer }) => peer.close?.()));
  }
}

async function open(name: PeerName): Promise<Peer> {
  return name === 'redis' || name === 'postgres' ? serverPeers[name]() : localPeers[name]();
}

interface Load {
  readonly memberships: number;
  readonly seconds: number;
}

/** Tells the peer everything. The batches are made in between, untimed. */
async function load(peer: Peer, population: Population): Promise<Load> {
  let memberships = 0;
  let milliseconds = 0;
  const timed = async (work: () => void | Promise<void>): Promise<void> => {
    const started = performance.now();
    await work();
    milliseconds += performance.now() - started;
  };
  for (const members of memberBatches(population)) {
    for (const { rooms } of members) memberships += rooms.length;
    await timed(() => peer.add(members));
  }
  await timed(() => peer.finish?.());
  return { memberships, seconds: milliseconds / 1000 };
}

interface Bytes {
  readonly bytes: number | null;
  readonly bytesAre: string;
}

function bytesPer(bytes: number | null, memberships: number): number | null {
  return bytes === null ? null : bytes / memberships;
}

async function bytesOf(name: PeerName, peer: Peer, population: Population): Promise<Bytes> {
  if (peer.where === 'unix socket') return { bytes: await peer.bytes(), bytesAre: peer.bytesAre };
  const bytes = await growthOf(name as LocalPeerName, population);
  return { bytes, bytesAre: 'growth of a process that holds nothing else' };
}

export async function run({ smoke }: RunOptions): Promise<void> {
  const result = await comparePeers(
    smoke
      ? { users: 2_000, rooms: 500, pairCount: 200, timeMs: 10 }
      : { users: 120_000, rooms: 12_000, pairCount: 2_000 },
  );
  for (const section of peersSections(result)) printSection(section);
  noteSpeeds('the first page of 100 rooms that two users share', result.peers, ({ firstPage }) => firstPage);
  noteSpeeds('whether two users share a room', result.peers, ({ shares }) => shares);
  const held = result.peers.flatMap((peer) =>
    peer.bytesPerMembership === null ? [] : [{ name: spoken(peer), cost: peer.bytesPerMembership }],
  );
  noteVerdict(`memory of ${formatNumber(result.memberships)} memberships`, held, 'smaller');
}

/** Those by numbers are limits: nobody asks by numbers. */
function spoken({ name, where }: PeerResult): string {
  return where === 'in process, by numbers' ? `${name} by numbers (a limit: it has no names)` : name;
}

/** Servers as whoever has many questions asks them: with many in flight. */
function noteSpeeds(
  question: string,
  peers: readonly PeerResult[],
  speedOf: (peer: PeerResult) => Speed,
): void {
  const contenders = peers.map((peer) => {
    const { perSecond, pipelinedPerSecond } = speedOf(peer);
    const inFlight = pipelinedPerSecond === null ? '' : ` with ${pipelineDepth} questions in flight`;
    return { name: `${spoken(peer)}${inFlight}`, cost: 1 / (pipelinedPerSecond ?? perSecond) };
  });
  noteVerdict(question, contenders);
}

export function peersSections(result: PeersResult): Section[] {
  const { users, rooms, memberships, pairs, peers, skipped } = result;
  const figures = [users, rooms, memberships, pairs].map((figure) => figure.toLocaleString('en-US'));
  const population = `${figures[0]} users, ${figures[1]} rooms, ${figures[2]} memberships, ${figures[3]} pairs`;
  return [
    {
      title: 'Beside peers: what holding the memberships takes',
      text: [population, ...skipped].join('\n\n'),
      header: ['', 'where', 'memberships/s loaded', 'bytes a membership', 'which are'],
      rows: peers.map(({ name, where, loadedPerSecond, bytesPerMembership, bytesAre }) => [
        ...[name, where, formatNumber(loadedPerSecond)],
        ...[bytesPerMembership === null ? '' : formatNumber(bytesPerMembership), bytesAre],
      ]),
      data: result,
    },
    speedsSection(
      `Beside peers: first page, the count and at most ${pageSize} rooms`,
      population,
      peers,
      ({ firstPage }) => firstPage,
    ),
    speedsSection('Beside peers: do these two share a room', population, peers, ({ shares }) => shares),
  ];
}

function speedsSection(
  title: string,
  text: string,
  peers: readonly PeerResult[],
  speedOf: (peer: PeerResult) => Speed,
): Section {
  const ours = speedOf(peers[0]).perSecond;
  const rows = peers.flatMap((peer) => {
    const { perSecond, pipelinedPerSecond, p50, p99 } = speedOf(peer);
    const cells = (rate: number): string[] => [formatNumber(rate), relativeTime(ours / rate)];
    const alone = [
      ...[peer.name, peer.where, ...cells(perSecond)],
      ...[formatNanoseconds(p50), formatNanoseconds(p99)],
    ];
    if (pipelinedPerSecond === null) return [alone];
    return [
      alone,
      [`${peer.name}, ${pipelineDepth} in flight`, peer.where, ...cells(pipelinedPerSecond), '', ''],
    ];
  });
  return { title, text, header: ['', 'where', 'questions/s', 'against ours', 'p50', 'p99'], rows };
}
