/**
 * How far from bare node:http is the endpoint? The whole server, as `serve` starts it (authentication, rate limit, checks,
 * fan-out, metrics), against a `node:http` server that sends a constant body of the same size with the same headers.
 *
 * How to read it: both run in processes of their own and are loaded in turn, several rounds; the ratio is the median of the
 * rounds' ratios. The limit of the ratio is 1. `wrk` makes the load where it is installed; autocannon, which takes as
 * much of the machine as the server does, where it is not: then both figures are lower and the ratio is flattered.
 */
import { execFile, execFileSync, fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { promisify } from 'node:util';
import autocannon from 'autocannon';
import { formatNumber, type RunOptions } from './harness.js';
import { printSection, type Section } from './results.js';
import type { ServerMessage, ServerOrder } from './http-server.js';
import { noteVerdict } from './verdict.js';

const connections = 64;
const path = '/_matrix/client/v1/mutual_rooms?user_id=@bob:example.org';
const header = ['Authorization', 'Bearer alice-token'] as const;

interface Running {
  readonly child: ChildProcess;
  readonly url: string;
}

async function start(order: ServerOrder): Promise<Running> {
  const child = fork(new URL('./http-server.ts', import.meta.url), { execArgv: ['--import', 'tsx'] });
  child.send(order);
  const [message] = (await once(child, 'message')) as [ServerMessage];
  return { child, url: message.url };
}

function hasWrk(): boolean {
  try {
    execFileSync('wrk', ['-v'], { stdio: 'ignore' });
    return true;
  } catch (error) {
    // wrk exits with 1 after it has told its version.
    return (error as { code?: string }).code !== 'ENOENT';
  }
}

/** @returns requests a second */
async function load(url: string, seconds: number, wrk: boolean): Promise<number> {
  if (!wrk) {
    const result = await autocannon({
      url: url + path,
      connections,
      duration: seconds,
      headers: { [header[0]]: header[1] },
    });
    if (result.non2xx > 0 || result.errors > 0) throw new Error(`${url} refused requests`);
    return result.requests.average;
  }
  const args = ['-t1', `-c${connections}`, `-d${seconds}s`, '-H', header.join(': '), url + path];
  const { stdout } = await promisify(execFile)('wrk', args);
  if (/Non-2xx|Socket errors/.test(stdout)) throw new Error(`${url} refused requests:\n${stdout}`);
  return Number(/Requests\/sec:\s*([\d.]+)/.exec(stdout)?.[1]);
}

export interface HttpRatio {
  readonly rooms: number;
  readonly shards: number;
  /** Requests a second, the best round. */
  readonly ours: number;
  readonly bare: number;
  /** Ours to bare, of each round, ascending. */
  readonly ratios: readonly number[];
}

async function ratioOf(
  rooms: number,
  shards: number,
  rounds: number,
  seconds: number,
  wrk: boolean,
): Promise<HttpRatio> {
  const ours = await start({ kind: 'index', rooms, shards });
  const answer = await fetch(ours.url + path, { headers: { [header[0]]: header[1] } });
  const body = await answer.text();
  if ((JSON.parse(body) as { count: number }).count !== rooms)
    throw new Error(`the answer is wrong: ${body}`);
  const bare = await start({ kind: 'bare', body, headers: corsOf(answer.headers) });
  const pairs: { ours: number; bare: number }[] = [];
  try {
    await load(ours.url, 1, wrk);
    await load(bare.url, 1, wrk);
    for (let round = 0; round < rounds; round += 1) {
      pairs.push({ bare: await load(bare.url, seconds, wrk), ours: await load(ours.url, seconds, wrk) });
    }
  } finally {
    ours.child.kill();
    bare.child.kill();
  }
  return {
    ...{ rooms, shards },
    ours: Math.max(...pairs.map((pair) => pair.ours)),
    bare: Math.max(...pairs.map((pair) => pair.bare)),
    ratios: pairs.map((pair) => pair.ours / pair.bare).sort((left, right) => left - right),
  };
}

function corsOf(headers: Headers): Record<string, string> {
  const names = [...headers.keys()].filter(
    (name) => name.startsWith('access-control') || name === 'content-type',
  );
  return Object.fromEntries(names.map((name) => [name, headers.get(name) ?? '']));
}

export interface HttpLoad {
  /** Rooms in the answer. */
  readonly rooms: readonly number[];
  /** Of each round. */
  readonly seconds: number;
}

const quickLoad: HttpLoad = { rooms: [10, 100], seconds: 1 };

/** The distance to bare node:http, by rooms in the answer and by shards. */
export async function httpRatios(smoke: boolean, load = quickLoad): Promise<HttpRatio[]> {
  const wrk = hasWrk();
  const rounds = smoke ? 1 : 3;
  const ratios: HttpRatio[] = [];
  for (const shards of [0, 1]) {
    for (const rooms of smoke ? [10] : load.rooms)
      ratios.push(await ratioOf(rooms, shards, rounds, smoke ? 1 : load.seconds, wrk));
  }
  return ratios;
}

export function httpSection(measured: readonly HttpRatio[]): Section {
  return {
    title: `Requests/s of the endpoint against bare node:http, ${connections} connections, load by ${hasWrk() ? 'wrk' : 'autocannon'}`,
    command: 'npm run bench -- http',
    header: ['answer', 'ours, best', 'bare, best', 'ratio, median', 'rounds'],
    rows: measured.map(({ rooms, shards, ours, bare, ratios }) => [
      `${rooms} rooms, ${shards === 0 ? 'inline' : `${shards} shard`}`,
      formatNumber(ours),
      formatNumber(bare),
      formatNumber(ratios[ratios.length >> 1]),
      `${formatNumber(ratios[0])} to ${formatNumber(ratios[ratios.length - 1])}`,
    ]),
    data: measured,
  };
}

export async function run({ smoke }: RunOptions): Promise<void> {
  const measured = await httpRatios(smoke);
  printSection(httpSection(measured));
  for (const { rooms, shards, ratios } of measured) {
    noteVerdict(`answering a request with ${rooms} rooms, ${shards === 0 ? 'inline' : `${shards} shard`}`, [
      { name: 'this server', cost: 1 },
      {
        name: 'bare node:http (the limit: it sends the same bytes each time)',
        cost: ratios[ratios.length >> 1],
      },
    ]);
  }
}
