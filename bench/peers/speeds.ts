/** How fast does each peer answer one kind of question? All together first, in turns, then each question alone. */
import { compareAsync, type AsyncContestant } from '../harness.js';
import type { LocalPeer, NamedPair, Peer, ServerPeer } from './peer.js';

export type Question = 'firstPage' | 'shares';

/** Questions that a server has not answered yet, when it is not asked one at a time. */
export const pipelineDepth = 64;

export interface Speed {
  /** One at a time; in process there is no other way. */
  readonly perSecond: number;
  /** Only of servers: with `pipelineDepth` questions in flight. */
  readonly pipelinedPerSecond: number | null;
  /** Nanoseconds of a question asked alone. */
  readonly p50: number;
  readonly p99: number;
}

/**
 * @param draw makes the pairs anew, of new strings
 * @param timeMs for each peer, and twice for servers
 * @returns in the order of the peers
 */
export async function speedsOf(
  peers: readonly Peer[],
  draw: () => readonly NamedPair[],
  question: Question,
  timeMs: number,
): Promise<Speed[]> {
  let pairs = draw();
  const before = (): void => {
    pairs = draw();
  };
  const contestants = peers.flatMap((peer): AsyncContestant[] => {
    const { name } = peer;
    if (peer.where !== 'unix socket') {
      const ask = askLocal(peer, question);
      return [{ name, before, run: () => sumOf(pairs, ask) }];
    }
    const ask = askServer(peer, question);
    return [
      { name, before, run: () => sumOfWaiting(pairs, ask, 1) },
      { name: pipelined(name), before, run: () => sumOfWaiting(pairs, ask, pipelineDepth) },
    ];
  });
  const { timings } = await compareAsync(contestants, pairs.length, timeMs);
  const perSecond = new Map(timings.map(({ name, nanoseconds }) => [name, 1e9 / nanoseconds]));
  const speeds: Speed[] = [];
  for (const peer of peers) {
    speeds.push({
      perSecond: perSecond.get(peer.name) ?? NaN,
      pipelinedPerSecond: perSecond.get(pipelined(peer.name)) ?? null,
      ...(await latencyOf(peer, draw, question)),
    });
  }
  return speeds;
}

const pipelined = (name: string): string => `${name}, pipelined`;

function askLocal(peer: LocalPeer, question: Question): (pair: NamedPair) => number {
  return question === 'firstPage'
    ? (pair) => peer.firstPage(pair).count
    : (pair) => Number(peer.shares(pair));
}

function askServer(peer: ServerPeer, question: Question): (pair: NamedPair) => Promise<number> {
  return question === 'firstPage'
    ? async (pair) => (await peer.firstPage(pair)).count
    : async (pair) => Number(await peer.shares(pair));
}

function sumOf(pairs: readonly NamedPair[], ask: (pair: NamedPair) => number): number {
  let sum = 0;
  for (const pair of pairs) sum += ask(pair);
  return sum;
}

async function sumOfWaiting(
  pairs: readonly NamedPair[],
  ask: (pair: NamedPair) => Promise<number>,
  inFlight: number,
): Promise<number> {
  let next = 0;
  let sum = 0;
  const lane = async (): Promise<void> => {
    while (next < pairs.length) {
      const answer = await ask(pairs[next++]);
      sum += answer;
    }
  };
  await Promise.all(Array.from({ length: inFlight }, lane));
  return sum;
}

/** Each question alone, on a second look at the same users by new strings: at the first, the code is still being compiled. */
async function latencyOf(
  peer: Peer,
  draw: () => readonly NamedPair[],
  question: Question,
): Promise<Pick<Speed, 'p50' | 'p99'>> {
  const look = (): Float64Array | Promise<Float64Array> =>
    peer.where === 'unix socket'
      ? timesOfWaiting(draw(), askServer(peer, question))
      : timesOf(draw(), askLocal(peer, question));
  await look();
  const times = (await look()).sort();
  const at = (share: number): number => times[Math.floor((times.length - 1) * share)] * 1e6;
  return { p50: at(0.5), p99: at(0.99) };
}

/** @returns milliseconds of each question */
function timesOf(pairs: readonly NamedPair[], ask: (pair: NamedPair) => number): Float64Array {
  const times = new Float64Array(pairs.length);
  for (let index = 0; index < pairs.length; index += 1) {
    const started = performance.now();
    ask(pairs[index]);
    times[index] = performance.now() - started;
  }
  return times;
}

async function timesOfWaiting(
  pairs: readonly NamedPair[],
  ask: (pair: NamedPair) => Promise<number>,
): Promise<Float64Array> {
  const times = new Float64Array(pairs.length);
  for (let index = 0; index < pairs.length; index += 1) {
    const started = performance.now();
    await ask(pairs[index]);
    times[index] = performance.now() - started;
  }
  return times;
}
