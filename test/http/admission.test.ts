/** Is what is under way bounded, does what goes beyond it get the answer that it should, and is everything given back? */
import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import type { AddressInfo } from 'node:net';
import { systemClock, type Clock } from '../../src/base/clock.js';
import type { Admission, AdmissionBounds } from '../../src/http/admission.js';
import { sendJsonBytes } from '../../src/http/json.js';
import { createServer } from '../../src/http/server.js';
import { Metrics } from '../../src/metrics/metrics.js';
import { RawConnection, type RawAnswer } from './raw-connection.js';

/** More than the system takes of an answer that nobody reads. */
const largeBytes = 16 * 2 ** 20;

interface Setup {
  readonly url: string;
  readonly admission: Admission;
  readonly metrics: Metrics;
  /** The query strings of `/held` that have been taken up. */
  readonly taken: string[];
  /** Lets every `/held` go on, those under way and those to come. */
  readonly release: () => void;
  /** Shuts the server down. */
  readonly close: () => Promise<void>;
}

/**
 * `/health`, `/held?...` that answers its own query string once it is released, and `/large`. By POST: `/count` answers how
 * many bytes it got, `/early` does not look at them.
 */
async function setUp(bounds: Partial<AdmissionBounds>, clock: Clock = systemClock): Promise<Setup> {
  const metrics = new Metrics();
  const app = createServer({ logger: pino({ level: 'silent' }), metrics, bounds, clock });
  const taken: string[] = [];
  let release = (): void => undefined;
  const released = new Promise<void>((resolve) => (release = resolve));
  app.get('/health', async (_request, reply) => sendJsonBytes(reply, '{}'));
  app.get('/held', async (request, reply) => {
    const [, query] = request.url.split('?');
    taken.push(query);
    await released;
    return sendJsonBytes(reply, query);
  });
  const large = 'x'.repeat(largeBytes);
  app.get('/large', async (_request, reply) => sendJsonBytes(reply, large));
  app.post('/count', async (request, reply) => {
    let bytes = 0;
    for await (const chunk of request.raw) bytes += (chunk as Buffer).length;
    return sendJsonBytes(reply, `${bytes}`);
  });
  app.post('/early', async (_request, reply) => sendJsonBytes(reply, '"early"'));
  app.get('/held-large', async (_request, reply) => {
    await released;
    return sendJsonBytes(reply, large);
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => {
    release();
    app.server.closeAllConnections();
    return app.close();
  });
  const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}`;
  return { url, admission: app.admission, metrics, taken, release, close: async () => app.close() };
}

async function open(url: string): Promise<RawConnection> {
  const connection = await RawConnection.open(url);
  onTestFinished(() => connection.close());
  return connection;
}

const head = (method: string, path: string, more = ''): string =>
  `${method} ${path} HTTP/1.1\r\nHost: x\r\n${more}\r\n`;

const held = (count: number, from = 0): string[] =>
  Array.from({ length: count }, (_, index) => `/held?${from + index}`);

async function bodies(connection: RawConnection, count: number): Promise<string[]> {
  const texts: string[] = [];
  for (let index = 0; index < count; index += 1) {
    texts.push((await connection.next())?.body.toString() ?? 'closed');
  }
  return texts;
}

function expectRefusal(answer: RawAnswer | undefined): void {
  expect(answer?.status).toBe(503);
  expect(Number(answer?.headers.get('retry-after'))).toBeGreaterThanOrEqual(1);
  expect(answer?.headers.get('access-control-allow-origin')).toBe('*');
  expect(answer?.headers.get('access-control-expose-headers')).toBe('Retry-After');
  expect(answer?.headers.get('content-type')).toBe('application/json');
  expect(JSON.parse(answer?.body.toString() ?? '')).toEqual({
    errcode: 'M_UNKNOWN',
    error: expect.stringContaining('again later') as unknown,
  });
}

async function expectNothingHeld({ admission }: Setup): Promise<void> {
  await expect
    .poll(() => [admission.requestsInFlight, admission.requestsPipelined, admission.answerBytesWaiting])
    .toEqual([0, 0, 0]);
}

test('a connection has one request in flight; what is pipelined behind it waits and is answered in order', async () => {
  const setup = await setUp({});
  const one = await open(setup.url);
  const other = await open(setup.url);
  one.send(held(5), 'a');
  await expect.poll(() => setup.admission.requestsPipelined).toBe(4);
  other.send(held(1, 100), 'a');
  await expect.poll(() => setup.taken).toEqual(['0', '100']);
  setup.release();
  expect(await bodies(one, 5)).toEqual(['0', '1', '2', '3', '4']);
  expect(setup.taken.slice(2)).toEqual(['1', '2', '3', '4']);
  await expectNothingHeld(setup);
});

test('while requests wait nothing more is read: thousands in one pipeline are not held, and all are answered', async () => {
  const setup = await setUp({});
  const connection = await open(setup.url);
  const count = 20_000;
  connection.send(held(count), 'a');
  await expect.poll(() => setup.admission.requestsPipelined).toBeGreaterThan(0);
  // Each is a turn of the server's loop, in which it would have read on.
  const other = await open(setup.url);
  for (let turn = 0; turn < 50; turn += 1) expect((await other.ask('/health', 'a'))?.status).toBe(200);
  // One read of 64 KiB, of requests of 50 bytes and more.
  expect(setup.admission.requestsPipelined).toBeLessThanOrEqual(65_536 / 50);
  expect(setup.taken).toEqual(['0']);
  setup.release();
  expect(await bodies(connection, count)).toEqual(Array.from({ length: count }, (_, index) => `${index}`));
  await expectNothingHeld(setup);
});

test('beyond the bound of requests in flight: 503 at once, but not for operators and OPTIONS; then all is well again', async () => {
  const setup = await setUp({ requestsInFlightMax: 2 });
  const [one, two, three] = [await open(setup.url), await open(setup.url), await open(setup.url)];
  one.send(held(1), 'a');
  two.send(held(1), 'a');
  await expect.poll(() => setup.admission.requestsInFlight).toBe(2);
  for (const path of ['/held?more', '/nothing', '/large']) expectRefusal(await three.ask(path, 'a'));
  expect((await three.ask('/health', 'a'))?.status).toBe(200);
  expect((await fetch(`${setup.url}/held`, { method: 'OPTIONS' })).status).toBe(204);
  expect(await setup.metrics.text()).toContain('mutual_rooms_http_refused_total{bound="requests"} 3\n');
  expect(await setup.metrics.text()).toContain('mutual_rooms_http_requests_in_flight 2\n');
  setup.release();
  expect(await bodies(one, 1)).toEqual(['0']);
  expect(await bodies(two, 1)).toEqual(['0']);
  expect((await three.ask('/held?again', 'a'))?.body.toString()).toBe('again');
  expect(setup.taken).not.toContain('more');
  await expectNothingHeld(setup);
});

test('a refusal takes its place in the order of a pipeline', async () => {
  const setup = await setUp({ requestsInFlightMax: 1 });
  const [one, two] = [await open(setup.url), await open(setup.url)];
  one.send(held(1), 'a');
  await expect.poll(() => setup.admission.requestsInFlight).toBe(1);
  two.send(['/health', '/held?refused', '/health'], 'a');
  expect((await two.next())?.status).toBe(200);
  expectRefusal(await two.next());
  expect((await two.next())?.status).toBe(200);
});

test('beyond the bound of pipelined requests: the connection that sends one more is closed, others are not', async () => {
  const setup = await setUp({ requestsPipelinedMax: 5 });
  const [one, two] = [await open(setup.url), await open(setup.url)];
  one.send(held(4), 'a');
  await expect.poll(() => setup.admission.requestsPipelined).toBe(3);
  two.send(held(4, 100), 'a');
  expect(await two.next()).toBeUndefined();
  expect(setup.admission.requestsPipelined).toBe(3);
  expect(await setup.metrics.text()).toContain('mutual_rooms_http_cut_off_total{reason="pipelined"} 1\n');
  setup.release();
  expect(await bodies(one, 4)).toEqual(['0', '1', '2', '3']);
  await expectNothingHeld(setup);
});

test('a client that goes away takes with it what it asked for', async () => {
  const setup = await setUp({});
  const one = await open(setup.url);
  one.send(held(1), 'a');
  await expect.poll(() => setup.admission.requestsInFlight).toBe(1);
  one.close();
  await expectNothingHeld(setup);
  await expect.poll(() => setup.admission.connections).toBe(0);
  setup.release();
  const two = await open(setup.url);
  expect((await two.ask('/held?two', 'a'))?.body.toString()).toBe('two');
});

test('when a client goes away that had sent requests ahead, they are gone with the next answer', async () => {
  const setup = await setUp({});
  const one = await open(setup.url);
  one.send(held(500), 'a');
  await expect.poll(() => setup.admission.requestsPipelined).toBe(499);
  one.close();
  setup.release();
  await expectNothingHeld(setup);
  await expect.poll(() => setup.admission.connections).toBe(0);
});

test('beyond the bound of large answers: 503 in place of one more, small answers as ever, until they are read', async () => {
  const setup = await setUp({ answerBytesWaitingMax: largeBytes + 1, readerGraceMs: 60_000 });
  const [slow, quick] = [await open(setup.url), await open(setup.url)];
  slow.stopReading();
  slow.send(['/large'], 'a');
  await expect.poll(() => setup.admission.answerBytesWaiting).toBe(largeBytes);
  expectRefusal(await quick.ask('/large', 'a'));
  expect((await quick.ask('/health', 'a'))?.status).toBe(200);
  expect(await setup.metrics.text()).toContain('mutual_rooms_http_refused_total{bound="answer_bytes"} 1\n');
  slow.readOn();
  expect((await slow.next())?.body.length).toBe(largeBytes);
  await expectNothingHeld(setup);
  expect((await quick.ask('/large', 'a'))?.body.length).toBe(largeBytes);
  await expectNothingHeld(setup);
});

test('an answer that is larger than the bound leaves when it is the only one', async () => {
  const setup = await setUp({ answerBytesWaitingMax: 1 });
  expect((await (await open(setup.url)).ask('/large', 'a'))?.body.length).toBe(largeBytes);
});

test('who has been slow for long enough is cut off, the slowest first, before anybody gets a 503', async () => {
  const setup = await setUp({ answerBytesWaitingMax: 2 * largeBytes, readerGraceMs: 0 });
  const [first, second, third] = [await open(setup.url), await open(setup.url), await open(setup.url)];
  for (const [count, slow] of [first, second].entries()) {
    slow.stopReading();
    slow.send(['/large'], 'a');
    await expect.poll(() => setup.admission.answerBytesWaiting).toBe((count + 1) * largeBytes);
  }
  expect((await third.ask('/large', 'a'))?.body.length).toBe(largeBytes);
  expect(await setup.metrics.text()).toContain('mutual_rooms_http_cut_off_total{reason="slowest"} 1\n');
  second.readOn();
  expect((await second.next())?.body.length).toBe(largeBytes);
  first.readOn();
  expect(await first.next()).toBeUndefined();
  await expectNothingHeld(setup);
});

test('a reader is slow from when its answer leaves, however long that took to be made', async () => {
  let now = 0;
  const setup = await setUp(
    { answerBytesWaitingMax: largeBytes + 1, readerGraceMs: 5_000 },
    { ...systemClock, monotonicMs: () => now },
  );
  const [slow, quick] = [await open(setup.url), await open(setup.url)];
  slow.stopReading();
  slow.send(['/held-large'], 'a');
  await expect.poll(() => setup.admission.requestsInFlight).toBe(1);
  now = 10_000;
  setup.release();
  await expect.poll(() => setup.admission.answerBytesWaiting).toBe(largeBytes);
  expectRefusal(await quick.ask('/large', 'a'));
  now = 15_000;
  expect((await quick.ask('/large', 'a'))?.body.length).toBe(largeBytes);
});

test('slow readers also make way for requests in flight; those who wait for us do not', async () => {
  const setup = await setUp({ requestsInFlightMax: 2, readerGraceMs: 0 });
  const [waits, slow, more] = [await open(setup.url), await open(setup.url), await open(setup.url)];
  waits.send(held(1), 'a');
  await expect.poll(() => setup.admission.requestsInFlight).toBe(1);
  slow.stopReading();
  slow.send(['/large'], 'a');
  await expect.poll(() => setup.admission.answerBytesWaiting).toBe(largeBytes);
  more.send(held(1, 7), 'a');
  await expect.poll(() => setup.taken).toEqual(['0', '7']);
  setup.release();
  expect(await bodies(waits, 1)).toEqual(['0']);
  expect(await bodies(more, 1)).toEqual(['7']);
  slow.readOn();
  expect(await slow.next()).toBeUndefined();
});

test('a reader that takes nothing is cut off after a while; who waits for us, pauses in a body or asked nothing yet is not', async () => {
  const setup = await setUp({ answerStalledMs: 200 });
  const [silent, waits, slow] = [await open(setup.url), await open(setup.url), await open(setup.url)];
  const uploads = await open(setup.url);
  uploads.write(head('POST', '/count', 'Content-Length: 6\r\n') + 'abc');
  waits.send(held(1), 'a');
  slow.stopReading();
  slow.send(['/large', '/held?behind'], 'a');
  await expect.poll(() => setup.admission.answerBytesWaiting).toBe(largeBytes);
  await expect.poll(() => setup.admission.connections, { timeout: 20_000 }).toBe(3);
  expect(await setup.metrics.text()).toContain('mutual_rooms_http_cut_off_total{reason="stalled"} 1\n');
  uploads.write('def');
  expect(await bodies(uploads, 1)).toEqual(['6']);
  expect(setup.admission.answerBytesWaiting).toBe(0);
  expect((await silent.ask('/health', 'a'))?.status).toBe(200);
  setup.release();
  expect(await bodies(waits, 1)).toEqual(['0']);
  expect(setup.taken).toEqual(['0']);
});

test('beyond the bound of connections: one more is closed at once, until another ends', async () => {
  const setup = await setUp({ connectionsMax: 2 });
  const [one, two] = [await open(setup.url), await open(setup.url)];
  expect((await one.ask('/health', 'a'))?.status).toBe(200);
  expect((await two.ask('/health', 'a'))?.status).toBe(200);
  const three = await open(setup.url);
  expect(await three.next()).toBeUndefined();
  expect(await setup.metrics.text()).toContain('mutual_rooms_http_cut_off_total{reason="connections"} 1\n');
  expect(await setup.metrics.text()).toContain('mutual_rooms_http_connections 2\n');
  one.close();
  await expect.poll(() => setup.admission.connections).toBe(1);
  expect((await (await open(setup.url)).ask('/health', 'a'))?.status).toBe(200);
});

test('the time that an answer took to be made does not count against its reader', async () => {
  let nowMs = 0;
  const clock: Clock = { ...systemClock, monotonicMs: () => nowMs };
  const setup = await setUp(
    { requestsInFlightMax: 1, smallAnswerBytesMax: largeBytes, readerGraceMs: 5_000 },
    clock,
  );
  const [first, second] = [await open(setup.url), await open(setup.url)];
  first.stopReading();
  first.send(['/held-large'], 'a');
  await expect.poll(() => setup.admission.requestsInFlight).toBe(1);
  nowMs = 10_000;
  setup.release();
  // A round trip through the server: its answer has been leaving by then.
  expect((await second.ask('/health', 'a'))?.status).toBe(200);
  expectRefusal(await second.ask('/held?soon', 'a'));
  nowMs = 14_000;
  expectRefusal(await second.ask('/held?later', 'a'));
  nowMs = 15_000;
  expect((await second.ask('/held?in-time', 'a'))?.body.toString()).toBe('in-time');
  first.readOn();
  expect(await first.next()).toBeUndefined();
  await expectNothingHeld(setup);
});

test('bodies in a pipeline: each is read when its turn comes, also one that is answered before it was read', async () => {
  const setup = await setUp({});
  const connection = await open(setup.url);
  const bytes = 1_000_000;
  const post = (path: string): string =>
    head('POST', path, `Content-Length: ${bytes}\r\n`) + 'x'.repeat(bytes);
  connection.write(
    head('GET', '/held?0') +
      post('/count') +
      post('/early') +
      post('/nothing') +
      head('GET', '/held?1') +
      post('/count'),
  );
  await expect.poll(() => setup.admission.requestsPipelined).toBe(1);
  setup.release();
  expect(await bodies(connection, 3)).toEqual(['0', `${bytes}`, '"early"']);
  expect((await connection.next())?.status).toBe(404);
  expect(await bodies(connection, 2)).toEqual(['1', `${bytes}`]);
  await expectNothingHeld(setup);
});

test('a refused body is thrown away, and the next request is answered', async () => {
  const setup = await setUp({ requestsInFlightMax: 1 });
  const [one, two] = [await open(setup.url), await open(setup.url)];
  one.send(held(1), 'a');
  await expect.poll(() => setup.admission.requestsInFlight).toBe(1);
  const bytes = 1_000_000;
  two.write(
    head('POST', '/count', `Content-Length: ${bytes}\r\n`) + 'x'.repeat(bytes) + head('GET', '/health'),
  );
  expectRefusal(await two.next());
  expect((await two.next())?.status).toBe(200);
});

test('"100 Continue" takes its place in the order of a pipeline', async () => {
  const setup = await setUp({});
  const connection = await open(setup.url);
  connection.write(
    head('GET', '/held?0') + head('POST', '/count', 'Content-Length: 3\r\nExpect: 100-continue\r\n'),
  );
  await expect.poll(() => setup.admission.requestsPipelined).toBe(1);
  setup.release();
  expect(await bodies(connection, 1)).toEqual(['0']);
  expect((await connection.next())?.status).toBe(100);
  connection.write('abc');
  expect(await bodies(connection, 1)).toEqual(['3']);
  await expectNothingHeld(setup);
});

test.each([
  ['no HTTP', 'nonsense\r\n\r\n'],
  ['a chunk without a length', head('POST', '/count', 'Transfer-Encoding: chunked\r\n') + '1\r\na\r\nzz\r\n'],
])('what cannot be parsed is answered after what came before it, then nothing more: %s', async (_, bytes) => {
  const setup = await setUp({});
  const connection = await open(setup.url);
  connection.write(head('GET', '/held?0') + head('GET', '/held?1') + bytes + head('GET', '/held?2'));
  await expect.poll(() => setup.taken).toEqual(['0']);
  connection.write(head('GET', '/held?3'));
  setup.release();
  expect(await bodies(connection, 2)).toEqual(['0', '1']);
  expect((await connection.next())?.status).toBe(400);
  expect(await connection.next()).toBeUndefined();
  expect(setup.taken).toEqual(['0', '1']);
  await expectNothingHeld(setup);
});

test('a client that says "Connection: close" and sends more gets the answer, and the rest is not taken up', async () => {
  const setup = await setUp({});
  const connection = await open(setup.url);
  connection.write(head('GET', '/held?0', 'Connection: close\r\n') + head('GET', '/held?1'));
  await expect.poll(() => setup.taken).toEqual(['0']);
  setup.release();
  expect(await bodies(connection, 2)).toEqual(['0', 'closed']);
  expect(setup.taken).toEqual(['0']);
  await expectNothingHeld(setup);
});

test('a shutdown answers one more request of a pipeline, says so, and takes up no further one', async () => {
  const setup = await setUp({});
  const connection = await open(setup.url);
  connection.send(held(4), 'a');
  await expect.poll(() => setup.admission.requestsPipelined).toBe(3);
  const closed = setup.close();
  setup.release();
  expect(await bodies(connection, 1)).toEqual(['0']);
  const last = await connection.next();
  expect(last?.body.toString()).toBe('1');
  expect(last?.headers.get('connection')).toBe('close');
  expect(await connection.next()).toBeUndefined();
  await closed;
  expect(setup.taken).toEqual(['0', '1']);
  await expectNothingHeld(setup);
});

test('at a shutdown nobody connects any more; who is connected is answered once more, and told so; who is silent is ended', async () => {
  const setup = await setUp({});
  const [silent, asking, kept, asked] = await Promise.all(Array.from({ length: 4 }, () => open(setup.url)));
  kept.write(head('GET', '/health'));
  expect((await kept.next())?.headers.get('connection')).toBe('keep-alive');
  asked.send(held(1), 'a');
  await expect.poll(() => setup.taken).toEqual(['0']);
  const closed = setup.close();
  await expect(RawConnection.open(setup.url)).rejects.toMatchObject({ code: 'ECONNREFUSED' });
  for (const connection of [asking, kept]) {
    connection.write(head('GET', '/health'));
    const answer = await connection.next();
    expect([answer?.status, answer?.headers.get('connection')]).toEqual([200, 'close']);
    expect(await connection.next()).toBeUndefined();
  }
  expect(await silent.next()).toBeUndefined();
  setup.release();
  const answer = await asked.next();
  expect([answer?.body.toString(), answer?.headers.get('connection')]).toEqual(['0', 'close']);
  await closed;
  await expectNothingHeld(setup);
});

test('a body that ends after the signal is read to its end, and its answer is the last', async () => {
  const setup = await setUp({});
  const connection = await open(setup.url);
  connection.write(head('POST', '/count', 'Content-Length: 4\r\n') + 'ab');
  await expect.poll(() => setup.admission.requestsInFlight).toBe(1);
  const closed = setup.close();
  await new Promise((resolve) => setTimeout(resolve, 50));
  connection.write('cd');
  const answer = await connection.next();
  expect([answer?.body.toString(), answer?.headers.get('connection')]).toEqual(['4', 'close']);
  await closed;
});

test('an answer that is on its way at the signal is read to its end', async () => {
  const setup = await setUp({});
  const connection = await open(setup.url);
  connection.stopReading();
  connection.write(head('GET', '/large'));
  await expect.poll(() => setup.admission.answerBytesWaiting).toBe(largeBytes);
  const closed = setup.close();
  connection.readOn();
  expect((await connection.next())?.body.length).toBe(largeBytes);
  expect(await connection.next()).toBeUndefined();
  await closed;
});

test('clients that go away before they are answered are counted, and only those', async () => {
  const setup = await setUp({});
  const aborted = async (): Promise<number> =>
    Number(/^mutual_rooms_http_aborted_total (\d+)$/m.exec(await setup.metrics.text())?.[1]);
  const [idle, answered, waiting, sending] = await Promise.all(
    Array.from({ length: 4 }, () => open(setup.url)),
  );
  answered.write(head('GET', '/health'));
  await answered.next();
  waiting.send(held(1), 'a');
  sending.write(head('POST', '/count', 'Content-Length: 4\r\n') + 'ab');
  await expect.poll(() => setup.admission.requestsInFlight).toBe(2);
  for (const connection of [idle, answered]) connection.close();
  await expect.poll(() => setup.admission.connections).toBe(2);
  expect(await aborted()).toBe(0);
  for (const connection of [waiting, sending]) connection.close();
  await expect.poll(() => setup.admission.connections).toBe(0);
  expect(await aborted()).toBe(2);
});
