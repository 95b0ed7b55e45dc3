/**
 * Does the server stay whole when more is asked of it than it can do? A real `serve`, 1,000 connections and more over real
 * sockets, with the index in its own thread and in worker threads. Is every answer whole, right and in its order; is memory
 * bounded; does what goes beyond a bound get its 503; do small questions get through; and is all well again afterwards?
 *
 * Nothing here is timed: what is asserted is counts, bounds, order, and what is true in the end.
 */
import { expect, onTestFinished, test as anywhere, describe } from 'vitest';
import { answerBytesWaitingMax, requestsInFlightMax, requestsPipelinedMax } from '../../src/http/bounds.js';
import { HomeserverStub } from '../http/homeserver-stub.js';
import { RawConnection, type RawAnswer } from '../http/raw-connection.js';
import { openServe, peakMiB, until, type ServeProcess } from './serve-process.js';

const test = anywhere.runIf(process.platform === 'linux');

/**
 * What the process may take at its peak: some 140 MiB idle, the bounds of http/bounds.ts, and what V8 has not collected yet,
 * together about 500. Without bounds, 160 slow readers took 2,480 and kept them.
 */
const peakMiBMax = 800;

const alice = '@alice:example.org';

/** Rooms that alice shares with each of them. */
const shared = { few: 3, hundred: 100, thousand: 1_000, many: 10_000 };
type Other = keyof typeof shared;
const others = Object.keys(shared) as Other[];

const roomId = (index: number): string => `!abcdefghijklmnopqr${index}:example.org`;

/** Pages of up to 1,000 rooms; the path spelling for 10,000. */
const pathOf: Record<Other, string> = {
  few: '/_matrix/client/v1/mutual_rooms?user_id=@few:example.org',
  hundred: '/_matrix/client/v1/mutual_rooms?user_id=@hundred:example.org',
  thousand: '/_matrix/client/v1/mutual_rooms?user_id=@thousand:example.org',
  many: '/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms/@many:example.org',
};

interface Saturated {
  readonly server: ServeProcess;
  readonly url: string;
  /** The one right answer about each of them, byte by byte. */
  readonly truth: Readonly<Record<Other, Buffer>>;
}

async function setUp(shards: number, more = ''): Promise<Saturated> {
  const server = await openServe(
    `listen: { port: 0 }\ndata_dir: null\nshards: ${shards}\npage_size: 1000\nservice_token: secret\n` +
      `rate_limit: null\nauth: { static_tokens: { a: "${alice}" } }\n${more}`,
  );
  const { url } = server;
  const lines: string[] = [];
  for (let index = 0; index < shared.many; index += 1) {
    for (const userId of [
      alice,
      ...others.filter((other) => index < shared[other]).map((other) => `@${other}:example.org`),
    ]) {
      lines.push(JSON.stringify({ user_id: userId, room_id: roomId(index), membership: 'join' }));
    }
  }
  const imported = await fetch(`${url}/_mutual_rooms/v1/memberships`, {
    method: 'POST',
    headers: { authorization: 'Bearer secret', 'content-type': 'application/x-ndjson' },
    body: lines.join('\n'),
  });
  expect(await imported.json()).toMatchObject({ applied: lines.length, rejected_count: 0 });

  const connection = await open(url);
  const truth = new Map<Other, Buffer>();
  for (const other of others) {
    const answer = await connection.ask(pathOf[other], 'a');
    if (answer?.status !== 200) expect.fail(`${answer?.status} for ${other}`);
    const { joined, count } = JSON.parse(answer.body.toString()) as {
      joined: string[];
      count: number;
    };
    expect(count).toBe(shared[other]);
    expect(joined.sort()).toEqual(Array.from({ length: count }, (_, index) => roomId(index)).sort());
    truth.set(other, answer.body);
  }
  connection.close();
  return { server, url, truth: Object.fromEntries(truth) as Record<Other, Buffer> };
}

async function open(url: string): Promise<RawConnection> {
  return (await openMany(url, 1))[0];
}

async function openMany(url: string, count: number): Promise<RawConnection[]> {
  const connections = await RawConnection.openMany(url, count);
  onTestFinished(() => {
    for (const connection of connections) connection.close();
  });
  return connections;
}

/** `expect` is too slow for some ten thousand answers, and would print them. */
function check(answer: RawAnswer | undefined, truth: Buffer): void {
  if (answer?.status === 200 && answer.body.equals(truth)) return;
  expect.fail(`expected 200 and ${truth.length} right bytes, not ${answer?.status} ${answer?.body.length}`);
}

function isRefusal(answer: RawAnswer | undefined): boolean {
  if (answer?.status !== 503) return false;
  expect(Number(answer.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect(answer.headers.get('access-control-allow-origin')).toBe('*');
  expect(answer.headers.get('access-control-expose-headers')).toBe('Retry-After');
  expect(JSON.parse(answer.body.toString())).toMatchObject({ errcode: 'M_UNKNOWN' });
  return true;
}

/** The sum of a metric over its labels, or of those with these labels. */
async function metric(url: string, name: string, labels = ''): Promise<number> {
  const text = await (await fetch(`${url}/metrics`)).text();
  const lines = text.split('\n').filter((line) => line.startsWith(name) && line.includes(labels));
  return lines.reduce((sum, line) => sum + Number(line.split(' ').at(-1)), 0);
}

const openConnections = 'mutual_rooms_http_connections';
const inFlight = 'mutual_rooms_http_requests_in_flight';
const pipelined = 'mutual_rooms_http_requests_pipelined';
const answerBytes = 'mutual_rooms_http_answer_bytes_waiting';
const questionsWaiting = 'mutual_rooms_fan_out_waiting_questions';
const cutOff = 'mutual_rooms_http_cut_off_total';

/** Everything is given back by itself, and everything is answered again. */
async function expectRecovery({ server, url, truth }: Saturated): Promise<void> {
  for (const name of [inFlight, pipelined, answerBytes, questionsWaiting])
    await until(async () => (await metric(url, name)) === 0 || undefined);
  const connections = await openMany(url, 50);
  await Promise.all(
    connections.map(async (connection) => {
      for (const other of others) check(await connection.ask(pathOf[other], 'a'), truth[other]);
    }),
  );
  expect(await metric(url, 'mutual_rooms_faults_total')).toBe(0);
  expect(peakMiB(server.child)).toBeLessThan(peakMiBMax);
}

/** One large answer among seven small and middling ones. */
const mix: readonly Other[] = ['few', 'hundred', 'few', 'thousand', 'few', 'hundred', 'few', 'many'];

describe.each([0, 2])('%d shards', (shards) => {
  test('a thousand connections that were silent, then small and large answers mixed', async () => {
    const world = await setUp(shards);
    const { url, truth } = world;
    const connections = await openMany(url, 1_000);
    await until(async () => (await metric(url, openConnections)) >= 1_000 || undefined);
    await Promise.all(
      connections.map(async (connection, index) => {
        for (let turn = 0; turn < mix.length; turn += 1) {
          const other = mix[(index + turn) % mix.length];
          check(await connection.ask(pathOf[other], 'a'), truth[other]);
        }
      }),
    );
    expect(connections.filter(({ isClosed }) => isClosed)).toHaveLength(0);
    await expectRecovery(world);
  });

  test('hundreds of requests in a pipeline before anything is read, and thousands in another', async () => {
    const world = await setUp(shards);
    const { url, truth } = world;
    const connections = await openMany(url, 20);
    const asked = Array.from({ length: 300 }, (_, index) => mix[index % mix.length]);
    for (const connection of connections) {
      connection.stopReading();
      connection.send(
        asked.map((other) => pathOf[other]),
        'a',
      );
    }
    const long = await open(url);
    const longCount = 10_000;
    long.send(Array<string>(longCount).fill(pathOf.few), 'a');
    // While the others wait for their readers, this one is answered to its end.
    for (let index = 0; index < longCount; index += 1) check(await long.next(), truth.few);
    expect(await metric(url, pipelined)).toBeLessThanOrEqual(asked.length * connections.length);
    for (const connection of connections) connection.readOn();
    await Promise.all(
      connections.map(async (connection) => {
        for (const other of asked) check(await connection.next(), truth[other]);
      }),
    );
    await expectRecovery(world);
  });

  test('more requests in flight than the bound: exactly those beyond it get 503, /health answers, then all is well', async () => {
    const stub = await HomeserverStub.start();
    onTestFinished(() => stub.close());
    stub.knows('b', alice);
    const world = await setUp(shards, `homeserver: { url: "${stub.url}" }\n`);
    const { url, truth } = world;
    const beyond = 300;
    const connections = await openMany(url, requestsInFlightMax + beyond);
    // The homeserver is slow to say who this is; nobody can be answered before it has.
    const release = stub.hold();
    for (const connection of connections.slice(0, requestsInFlightMax)) connection.send([pathOf.few], 'b');
    await until(async () => (await metric(url, inFlight)) === requestsInFlightMax || undefined);
    for (const connection of connections.slice(requestsInFlightMax))
      expect(isRefusal(await connection.ask(pathOf.few, 'b'))).toBe(true);
    const operator = await open(url);
    expect((await operator.ask('/health', ''))?.status).toBe(200);
    expect((await operator.ask('/ready', ''))?.status).toBe(200);
    release();
    for (const connection of connections.slice(0, requestsInFlightMax))
      check(await connection.next(), truth.few);
    await Promise.all(
      connections
        .slice(-requestsInFlightMax)
        .map(async (connection) => check(await connection.ask(pathOf.few, 'b'), truth.few)),
    );
    expect(await metric(url, 'mutual_rooms_http_refused_total', 'requests')).toBe(beyond);
    await expectRecovery(world);
  });

  test('more large answers at once than there is room for: each is right or refused, then all is well', async () => {
    const world = await setUp(shards);
    const { url, truth } = world;
    const connections = await openMany(url, 1_500);
    for (const connection of connections) connection.send([pathOf.many], 'a');
    let right = 0;
    for (const connection of connections) {
      const answer = await connection.next();
      if (isRefusal(answer)) continue;
      check(answer, truth.many);
      right += 1;
    }
    expect(right).toBeGreaterThan(0);
    await expectRecovery(world);
  });

  test('more pipelined requests than the bound: who sends them is cut off, others are answered', async () => {
    const world = await setUp(shards);
    const { url, truth } = world;
    const pipelines = await openMany(url, 60);
    const quick = await open(url);
    for (const connection of pipelines) {
      connection.stopReading();
      connection.send(Array<string>(600).fill(pathOf.many), 'a');
      check(await quick.ask(pathOf.few, 'a'), truth.few);
      expect(await metric(url, pipelined)).toBeLessThanOrEqual(requestsPipelinedMax);
    }
    await until(async () => (await metric(url, cutOff, 'pipelined')) > 0 || undefined);
    check(await quick.ask(pathOf.many, 'a'), truth.many);
    for (const connection of pipelines) connection.close();
    await expectRecovery(world);
  });

  test('while clients send large questions ahead as fast as they can, a small client waits for few of them', async () => {
    const world = await setUp(shards);
    const { url, truth } = world;
    const hammers = await openMany(url, 10);
    let hammering = true;
    let between = 0;
    const smallCount = 100;
    const hammer = async (connection: RawConnection): Promise<void> => {
      while (hammering) {
        const count = 200;
        connection.send(Array<string>(count).fill(pathOf.many), 'a');
        for (let index = 0; index < count && hammering; index += 1)
          check(await connection.next(), truth.many);
      }
    };
    const largeAnswered = async (): Promise<number> =>
      metric(url, 'mutual_rooms_http_requests_total', 'mutual_rooms_by_path');
    const askSmall = async (): Promise<void> => {
      await until(async () => (await largeAnswered()) > 20 || undefined);
      const before = await largeAnswered();
      const small = await open(url);
      for (let turn = 0; turn < smallCount; turn += 1) check(await small.ask(pathOf.few, 'a'), truth.few);
      between = (await largeAnswered()) - before;
      hammering = false;
    };
    await Promise.all([...hammers.map(hammer), askSmall()]);
    expect(between).toBeGreaterThan(0);
    // Ten are in flight whenever it asks, and more of them while its answer is on its way to its reader, who is busy too.
    expect(between / smallCount).toBeLessThan(100);
    for (const connection of hammers) connection.close();
    await expectRecovery(world);
  });
});

test('five hundred readers that ask for large answers and never read: others are answered, memory is bounded, they are cut off', async () => {
  const worlds = [await setUp(0), await setUp(2)];
  for (const { server, url, truth } of worlds) {
    const quick = await open(url);
    for (let wave = 0; wave < 10; wave += 1) {
      const slow = await openMany(url, 50);
      for (const connection of slow) {
        connection.stopReading();
        connection.send(Array<string>(20).fill(pathOf.many), 'a');
      }
      for (let turn = 0; turn < 10; turn += 1) {
        for (const other of ['few', 'hundred', 'thousand'] as const)
          check(await quick.ask(pathOf[other], 'a'), truth[other]);
      }
      expect(await metric(url, answerBytes)).toBeLessThanOrEqual(answerBytesWaitingMax);
      await untilItRests(url);
    }
    expect(await metric(url, answerBytes)).toBeGreaterThan(answerBytesWaitingMax / 2);
    expect(peakMiB(server.child)).toBeLessThan(peakMiBMax);
  }
  // Both at the same time, since it takes as long as a reader may stall.
  await Promise.all(
    worlds.map(async (world) => {
      await until(async () => (await metric(world.url, inFlight)) === 0 || undefined);
      expect(await metric(world.url, cutOff, 'stalled')).toBeGreaterThan(0);
      await expectRecovery(world);
    }),
  );
});

/** Until only this asks: the next slow readers then add to what those before them hold. */
async function untilItRests(url: string): Promise<void> {
  let before = -1;
  await until(async () => {
    const now = await metric(url, 'mutual_rooms_http_requests_total');
    // A scrape is a request.
    const rests = now - before <= 2 && (await metric(url, questionsWaiting)) === 0;
    before = now;
    return rests || undefined;
  });
}
