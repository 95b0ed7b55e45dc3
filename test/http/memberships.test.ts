/** Do memberships come in whole, however they are cut, and does the answer say what became of each line? */
import { request } from 'node:http';
import { connect } from 'node:net';
import { pack } from 'msgpackr';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  alice,
  bob,
  joinedOf,
  membershipsPath,
  openServer,
  serviceToken,
  startServer,
  testConfig,
  type Answer,
  type Asking,
  type ServerUnderTest,
} from './server-under-test.js';

const ndjson = 'application/x-ndjson';
const msgpack = 'application/msgpack';

interface MembershipRecord {
  readonly user_id: string;
  readonly room_id: string;
  readonly membership: string;
}

const record = (userId: string, roomId: string, membership = 'join'): MembershipRecord => ({
  user_id: userId,
  room_id: roomId,
  membership,
});

const linesOf = (records: readonly unknown[]): string =>
  records.map((each) => `${JSON.stringify(each)}\n`).join('');

/** Both users into each room. */
const bothIn = (rooms: readonly string[]): MembershipRecord[] =>
  rooms.flatMap((room) => [record(alice, room), record(bob, room)]);

/** Cuts at odd places: 1, 2, 3, ... bytes, so that no cut falls where a line ends for long. */
function oddChunks(bytes: Buffer): Buffer[] {
  const chunks: Buffer[] = [];
  for (let at = 0, size = 1; at < bytes.length; at += size - 1, size = (size % 97) + 1) {
    chunks.push(bytes.subarray(at, at + size));
    size += 1;
  }
  return chunks.filter((chunk) => chunk.length > 0);
}

let server: ServerUnderTest;

beforeAll(async () => {
  server = await startServer(testConfig({ pageSize: 1000, shards: 2 }));
});

afterAll(() => server.close());

const post = (
  body: Asking['body'] & {},
  type = ndjson,
  { to = server, token = serviceToken }: { to?: ServerUnderTest; token?: string | undefined } = {},
): Promise<Answer> =>
  to.ask(membershipsPath, { method: 'POST', token, headers: { 'content-type': type }, body });

describe.each([
  [ndjson, (records: readonly unknown[]) => Buffer.from(linesOf(records))],
  [msgpack, (records: readonly unknown[]) => Buffer.from(pack(records))],
])('%s', (type, encode) => {
  test('applied, ignored; visible when the answer arrives', async () => {
    const rooms = ['!a', '!b', '!c'].map((name) => `${name}:${type}`);
    const answer = await post(encode(bothIn(rooms)), type);
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({ applied: 6, ignored: 0, rejected: [], rejected_count: 0 });
    expect(joinedOf(await server.mutual(bob))).toEqual(expect.arrayContaining(rooms));
    const again = await post(encode(bothIn(rooms)), type);
    expect(again.json).toEqual({ applied: 0, ignored: 6, rejected: [], rejected_count: 0 });
  });

  test('streamed in odd chunks: the same as in one', async () => {
    const rooms = Array.from({ length: 60 }, (_, index) => `!odd${index}é☕:${type}`);
    const answer = await post(oddChunks(encode(bothIn(rooms))), type);
    expect(answer.json).toEqual({ applied: 120, ignored: 0, rejected: [], rejected_count: 0 });
    expect(joinedOf(await server.mutual(bob))).toEqual(expect.arrayContaining(rooms));
  });

  test('many thousands in one body', async () => {
    const many = Array.from({ length: 30_000 }, (_, index) =>
      record(`@u${index % 7}:x`, `!m${index}:${type}`),
    );
    const own = await openServer(testConfig({ import: { bodyBytesMax: 2 ** 26 } }));
    const body = encode(many);
    expect(body.length).toBeGreaterThan(2 ** 20);
    const answer = await post(body, type, { to: own });
    expect(answer.json).toMatchObject({ applied: 30_000, ignored: 0, rejected_count: 0 });
  });

  test('rejected with line numbers; the rest is applied', async () => {
    const answer = await post(
      encode([
        record(alice, `!good1:${type}`),
        record(alice, `!bad:${type}`, 'joined'),
        { user_id: alice, membership: 'join' },
        record('', '!bad'),
        record('x'.repeat(1025), '!bad'),
        ['no', 'object'],
        null,
        { ...record(bob, `!good1:${type}`), type: 'm.room.member', unsigned: { age: 1 } },
      ]),
      type,
    );
    expect(answer.status).toBe(200);
    expect(answer.json).toMatchObject({ applied: 2, ignored: 0, rejected_count: 6 });
    const rejected = answer.json.rejected as { line: number; error: string }[];
    expect(rejected.map(({ line }) => line)).toEqual([2, 3, 4, 5, 6, 7]);
    expect(rejected.map(({ error }) => error)).toEqual([
      expect.stringContaining('membership'),
      expect.stringContaining('room_id'),
      expect.stringContaining('user_id'),
      expect.stringContaining('1024'),
      expect.stringContaining('object'),
      expect.stringContaining('object'),
    ]);
    expect(joinedOf(await server.mutual(bob))).toContain(`!good1:${type}`);
  });

  test('> 100 rejected: the first 100 are listed, all are counted', async () => {
    const answer = await post(encode(Array.from({ length: 250 }, (_, index) => ({ index }))), type);
    const rejected = answer.json.rejected as { line: number }[];
    expect(answer.json).toMatchObject({ applied: 0, ignored: 0, rejected_count: 250 });
    expect(rejected.map(({ line }) => line)).toEqual(Array.from({ length: 100 }, (_, index) => index + 1));
  });

  test('historical IDs are accepted: rooms hold what they hold', async () => {
    const odd = ['@:x', '@é ☕:x', 'no sigil', '@a\nb:x', '@"\\:x', '\u0000'];
    const answer = await post(encode(odd.map((userId) => record(userId, `!odd:${type}`))), type);
    expect(answer.json).toMatchObject({ applied: odd.length, rejected_count: 0 });
  });

  test('ban, kick, invite and knock are not joined; join -> join is ignored', async () => {
    const room = `!life:${type}`;
    await post(encode([record(alice, room)]), type);
    for (const membership of ['leave', 'ban', 'invite', 'knock']) {
      expect((await post(encode([record(bob, room)]), type)).json).toMatchObject({ applied: 1, ignored: 0 });
      expect(joinedOf(await server.mutual(bob))).toContain(room);
      expect((await post(encode([record(bob, room)]), type)).json).toMatchObject({ applied: 0, ignored: 1 });
      const gone = await post(encode([record(bob, room, membership)]), type);
      expect(gone.json).toMatchObject({ applied: 1, ignored: 0 });
      expect(joinedOf(await server.mutual(bob))).not.toContain(room);
      const again = await post(encode([record(bob, room, membership)]), type);
      expect(again.json).toMatchObject({ applied: 0, ignored: 1 });
    }
  });

  test('lines take effect in their order', async () => {
    const room = `!order:${type}`;
    const answer = await post(
      encode([
        record(alice, room),
        record(bob, room),
        record(bob, room, 'leave'),
        record(bob, room),
        record(bob, room, 'ban'),
      ]),
      type,
    );
    expect(answer.json).toMatchObject({ applied: 5, ignored: 0 });
    expect(joinedOf(await server.mutual(bob))).not.toContain(room);
  });

  test('nothing at all is no harm', async () => {
    expect((await post(encode([]), type)).json).toEqual({
      applied: 0,
      ignored: 0,
      rejected: [],
      rejected_count: 0,
    });
  });

  test('the media type may have parameters, and any case', async () => {
    for (const spelled of [`${type}; charset=utf-8`, type.toUpperCase(), `${type} ;x=y`]) {
      expect((await post(encode([]), spelled)).status).toBe(200);
    }
  });
});

test.each([
  [msgpack, 'nils', Buffer.concat([Buffer.from([0xdd, 0, 0x0f, 0, 0]), Buffer.alloc(0xf0000, 0xc0)])],
  [ndjson, 'numbers', Buffer.from('1\n'.repeat(200_000))],
])('%s of %s alone: others are answered meanwhile', async (type, _what, body) => {
  let isDone = false;
  const posting = post(body, type).finally(() => (isDone = true));
  let answered = 0;
  while (!isDone) {
    expect((await server.ask('/health')).status).toBe(200);
    answered += 1;
  }
  expect((await posting).json.applied).toBe(0);
  // Without turns it would be one or two.
  expect(answered).toBeGreaterThan(5);
});

test('NDJSON: \\r\\n, blank lines, no newline at the end; lines that are no JSON', async () => {
  const text = `${JSON.stringify(record(alice, '!crlf'))}\r\n\r\n{"no\n[1]\n\n\ufeff\n${JSON.stringify(record(bob, '!crlf'))}`;
  const answer = await post(text);
  expect(answer.json).toMatchObject({ applied: 2, rejected_count: 3 });
  expect((answer.json.rejected as { line: number }[]).map(({ line }) => line)).toEqual([3, 4, 6]);
});

test('NDJSON: a line beyond the bound, or that is no UTF-8, is rejected alone', async () => {
  const good = `${JSON.stringify(record(alice, '!beside-long'))}\n`;
  const answer = await post([
    Buffer.from(good),
    Buffer.alloc(100_000, 'x'),
    Buffer.from('\n'),
    Buffer.from([0x22, 0xff, 0x22, 0x0a]),
    Buffer.from(good),
  ]);
  expect(answer.json).toMatchObject({ applied: 1, ignored: 1, rejected_count: 2 });
});

describe('msgpack that is no array: 400 M_INVALID_PARAM, what came before holds, the connection too', () => {
  test.each([
    ['an object', pack(record(alice, '!no'))],
    ['a text', pack('hello')],
    ['nothing', Buffer.alloc(0)],
    ['bytes after the end', Buffer.concat([pack([]), Buffer.from([1])])],
    ['a cut', pack(bothIn(['!cut1', '!cut2'])).subarray(0, -5)],
    ['an object, and much more', Buffer.concat([pack({ a: 1 }), Buffer.alloc(900_000)])],
  ])('%s', async (_, body) => {
    const whole = await post(body, msgpack);
    expect([whole.status, whole.json.errcode]).toEqual([400, 'M_INVALID_PARAM']);
    const chunked = await post([body.subarray(0, 3), body.subarray(3)], msgpack);
    expect([chunked.status, chunked.json.errcode]).toEqual([400, 'M_INVALID_PARAM']);
  });
});

describe('"413": a body beyond the bound', () => {
  const rooms = Array.from({ length: 40 }, (_, index) => `!bound${index}`);
  const body = Buffer.from(linesOf(bothIn(rooms)));
  const bodyBytesMax = 3000;
  const open = (): Promise<ServerUnderTest> =>
    openServer(testConfig({ pageSize: 1000, import: { bodyBytesMax } }));

  test('by Content-Length: before anything is applied', async () => {
    const own = await open();
    const answer = await post(body, ndjson, { to: own });
    expect([answer.status, answer.json.errcode]).toEqual([413, 'M_TOO_LARGE']);
    expect(answer.json.error).toContain(String(bodyBytesMax));
    expect(joinedOf(await own.mutual(bob))).toEqual([]);
  });

  test('by chunks: what was applied stays, and sending it again is harmless', async () => {
    const own = await open();
    const answer = await post(oddChunks(body), ndjson, { to: own });
    expect([answer.status, answer.json.errcode]).toEqual([413, 'M_TOO_LARGE']);
    const stayed = joinedOf(await own.mutual(bob));
    expect(stayed.length).toBeGreaterThan(0);
    expect(stayed.length).toBeLessThan(rooms.length);
    let applied = 0;
    for (let at = 0; at < rooms.length; at += 10) {
      const piece = await post(linesOf(bothIn(rooms.slice(at, at + 10))), ndjson, { to: own });
      applied += piece.json.applied as number;
    }
    expect(applied).toBeLessThanOrEqual(2 * (rooms.length - stayed.length));
    expect(joinedOf(await own.mutual(bob)).sort()).toEqual([...rooms].sort());
  });

  test('far beyond it: the client still gets the answer, and the connection goes on', async () => {
    const own = await open();
    const large = Buffer.alloc(8 * 2 ** 20, 'x');
    for (const each of [large, [large, large], [Buffer.from('x'), large, large]]) {
      const answer = await post(each, ndjson, { to: own });
      expect(answer.status).toBe(413);
    }
    expect((await own.ask('/health')).status).toBe(200);
  });

  test('exactly at the bound it is taken', async () => {
    const own = await openServer(testConfig({ import: { bodyBytesMax: body.length } }));
    expect((await post(body, ndjson, { to: own })).json).toMatchObject({ applied: 80 });
    expect((await post(oddChunks(body), ndjson, { to: own })).json).toMatchObject({ ignored: 80 });
  });
});

describe('who may', () => {
  test('missing service token: 401 M_MISSING_TOKEN; wrong: 401 M_UNKNOWN_TOKEN; nothing is applied', async () => {
    const line = linesOf(bothIn(['!forbidden']));
    const without = await server.ask(membershipsPath, {
      method: 'POST',
      headers: { 'content-type': ndjson },
      body: line,
    });
    expect([without.status, without.json.errcode]).toEqual([401, 'M_MISSING_TOKEN']);
    for (const token of [
      'wrong',
      'alice-token',
      `${serviceToken}x`,
      serviceToken.slice(1),
      serviceToken.toUpperCase(),
    ]) {
      const wrong = await post(line, ndjson, { token });
      expect([wrong.status, wrong.json.errcode]).toEqual([401, 'M_UNKNOWN_TOKEN']);
    }
    expect(joinedOf(await server.mutual(bob))).not.toContain('!forbidden');
  });

  test('a large body without the right token: 401, and the connection goes on', async () => {
    const answer = await post(Buffer.alloc(900_000, 'x'), ndjson, { token: 'wrong' });
    expect(answer.status).toBe(401);
  });

  test('the token comes first, then the media type', async () => {
    expect((await post('x', 'text/plain', { token: 'wrong' })).status).toBe(401);
  });

  test('without a service token in the configuration the API is off: 404 M_UNRECOGNIZED', async () => {
    const own = await openServer(testConfig({ serviceToken: undefined }));
    for (const token of [undefined, '', serviceToken, 'undefined']) {
      const answer = await own.ask(membershipsPath, {
        method: 'POST',
        token,
        headers: { 'content-type': ndjson },
        body: linesOf(bothIn(['!off'])),
      });
      expect([answer.status, answer.json.errcode]).toEqual([404, 'M_UNRECOGNIZED']);
    }
  });

  test('the service token is no access token of a user', async () => {
    expect((await server.mutual(bob, serviceToken)).status).toBe(401);
  });
});

test.each(['application', ';', '', 'a/b/c'])('a media type that is none, "%s": 415', async (type) => {
  expect((await post(linesOf(bothIn(['!type'])), type)).status).toBe(415);
});

test.each([
  'application/json',
  'text/plain',
  'application/x-www-form-urlencoded',
  'application/msgpackx',
  '*/*',
])('wrong media type %s: 415 that names the right ones', async (type) => {
  for (const body of [linesOf(bothIn(['!type'])), Buffer.alloc(500_000, 'x')]) {
    const answer = await post(body, type);
    expect(answer.status).toBe(415);
    expect(answer.json.error).toContain(ndjson);
    expect(answer.json.error).toContain(msgpack);
  }
});

test('a packed body: 415 that says to send it unpacked', async () => {
  const answer = await server.ask(membershipsPath, {
    method: 'POST',
    token: serviceToken,
    headers: { 'content-type': 'application/x-ndjson', 'content-encoding': 'gzip' },
    body: linesOf(bothIn(['!packed'])),
  });
  expect(answer.status).toBe(415);
  expect(answer.json.error).toContain('unpacked');
});

test('the service token in the query string: 401, for proxies log it', async () => {
  const path = `${membershipsPath}?access_token=${serviceToken}`;
  const answer = await server.ask(path, {
    method: 'POST',
    headers: { 'content-type': 'application/x-ndjson' },
    body: '{}',
  });
  expect([answer.status, answer.json.errcode]).toEqual([401, 'M_MISSING_TOKEN']);
});

test('a service token with a space in it, as in "change me"', async () => {
  const other = await openServer(testConfig({ serviceToken: 'change me' }));
  const answer = await other.ask(membershipsPath, {
    method: 'POST',
    headers: { authorization: 'Bearer change me', 'content-type': 'application/x-ndjson' },
    body: linesOf(bothIn(['!spaced'])),
  });
  expect(answer.status).toBe(200);
});

test('no media type: 415', async () => {
  const answer = await server.ask(membershipsPath, { method: 'POST', token: serviceToken, body: 'x' });
  expect(answer.status).toBe(415);
  const empty = await server.ask(membershipsPath, { method: 'POST', token: serviceToken });
  expect(empty.status).toBe(415);
});

test('a client that aborts in the middle: what came is applied, the server goes on, and it is no fault of ours', async () => {
  const own = await openServer(testConfig({ pageSize: 1000 }));
  const { hostname, port } = new URL(own.url);
  for (const type of [ndjson, msgpack]) {
    const room = `!before-the-end:${type}`;
    const bytes =
      type === ndjson ? Buffer.from(linesOf(bothIn([room]))) : pack([...bothIn([room]), record(alice, '!x')]);
    const sent = request({
      hostname,
      port,
      path: membershipsPath,
      method: 'POST',
      headers: { authorization: `Bearer ${serviceToken}`, 'content-type': type, 'content-length': '5000' },
    });
    sent.on('error', () => undefined);
    sent.write(bytes);
    await expect.poll(async () => joinedOf(await own.mutual(bob))).toContain(room);
    sent.destroy();
    await new Promise((resolve) => sent.on('close', resolve));
  }
  const again = await post(linesOf(bothIn(['!after'])), ndjson, { to: own });
  expect(again.json).toMatchObject({ applied: 2 });
  expect((await own.ask('/metrics')).text).toMatch(/^mutual_rooms_faults_total 0$/m);
  expect(own.logged.filter((line) => /"level":[56]0/.test(line))).toEqual([]);
});

test('a client that sent everything and goes away before it is read: no fault of ours either, but counted', async () => {
  const own = await openServer(testConfig());
  const { hostname, port } = new URL(own.url);
  const body = '{x}\n'.repeat(30_000);
  for (let count = 0; count < 5; count += 1) {
    const socket = connect(Number(port), hostname);
    socket.on('error', () => undefined);
    const headers = `authorization: Bearer ${serviceToken}\r\ncontent-type: ${ndjson}\r\ncontent-length: ${body.length}`;
    socket.write(`POST ${membershipsPath} HTTP/1.1\r\nhost: x\r\n${headers}\r\n\r\n${body}`);
    // It has taken up the request, and is busy with the first piece.
    await expect.poll(async () => (await own.ask('/metrics')).text).toMatch(/_http_requests_in_flight 1$/m);
    socket.destroy();
    await expect.poll(async () => (await own.ask('/metrics')).text).toMatch(/_http_requests_in_flight 0$/m);
  }
  // The server looks for more of the body only when it has read what it has.
  await expect
    .poll(() => own.logged.filter((line) => /a client went away|by our fault/.test(line)), {
      timeout: 20_000,
    })
    .toEqual(
      Array.from({ length: 5 }, () => expect.stringMatching(/"level":20,.*a client went away/) as unknown),
    );
  const { text } = await own.ask('/metrics');
  expect(text).toMatch(/^mutual_rooms_faults_total 0$/m);
  expect(text).toMatch(/^mutual_rooms_http_aborted_total 5$/m);
});

test('many at once: each is answered for its own lines, and all are seen', async () => {
  const own = await openServer(testConfig({ pageSize: 1000, shards: 2 }));
  const answers = await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      post(linesOf(bothIn([`!p${index}`, `!q${index}`, '!common'])), ndjson, { to: own }),
    ),
  );
  expect(answers.map(({ json }) => json.rejected_count)).toEqual(answers.map(() => 0));
  expect(answers.reduce((sum, { json }) => sum + (json.applied as number), 0)).toBe(82);
  expect(joinedOf(await own.mutual(bob))).toHaveLength(41);
});
