/** Is it who the homeserver says it is, and do its refusals reach the client with their meaning? */
import { afterAll, beforeAll, beforeEach, expect, test } from 'vitest';
import { HomeserverStub } from './homeserver-stub.js';
import {
  alice,
  bob,
  carol,
  configWithHomeserver,
  joinedOf,
  openServer,
  stablePath,
  startServer,
  type Answer,
  type ServerUnderTest,
} from './server-under-test.js';

const whoamiPath = '/_matrix/client/v3/account/whoami';

let stub: HomeserverStub;
let server: ServerUnderTest;

beforeAll(async () => {
  stub = await HomeserverStub.start();
  server = await startServer(configWithHomeserver(stub.url));
  await server.join([alice, bob], ['!a:x']);
  await server.join([carol, bob], ['!c:x']);
});

afterAll(async () => {
  await server.close();
  await stub.close();
});

beforeEach(() => {
  stub.seen.length = 0;
  stub.whoami.clear();
});

const ask = (token: string, query = ''): Promise<Answer> =>
  server.ask(`${stablePath}?user_id=${bob}${query}`, { token });

test('the asker is whom whoami names, never whom the request names', async () => {
  stub.knows('a', alice);
  stub.knows('c', carol);
  expect(joinedOf(await ask('a'))).toEqual(['!a:x']);
  expect(joinedOf(await ask('c'))).toEqual(['!c:x']);
  expect(joinedOf(await ask('a', `&access_token=c&device_id=D`))).toEqual(['!a:x']);
});

test('"the same hazard": whoami never gets the query string of the client', async () => {
  stub.knows('as-token', '@bot:hs.example');
  await server.ask(`${stablePath}?user_id=${bob}&access_token=as-token&device_id=D&from=`);
  expect(stub.seen).toHaveLength(1);
  expect(stub.seen[0]).toMatchObject({
    method: 'GET',
    url: whoamiPath,
    headers: { authorization: 'Bearer as-token' },
  });
});

test('the homeserver is told of the client: its agent, and where it comes from', async () => {
  stub.knows('told', alice);
  await server.ask(`${stablePath}?user_id=${bob}`, {
    token: 'told',
    headers: { 'user-agent': 'a-client/1.0', 'x-forwarded-for': '203.0.113.7', cookie: 'secret=1' },
  });
  expect(stub.seen[0].headers['user-agent']).toBe('a-client/1.0');
  expect(stub.seen[0].headers['x-forwarded-for']).toBe('203.0.113.7, 127.0.0.1');
  expect(stub.seen[0].headers.cookie).toBeUndefined();
});

test('a good token is asked for once, however many ask at once', async () => {
  stub.knows('busy', alice);
  const answers = await Promise.all(Array.from({ length: 20 }, () => ask('busy')));
  expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: 20 }, () => 200));
  await ask('busy');
  expect(stub.seen).toHaveLength(1);
});

test('"no token": 401 M_MISSING_TOKEN, and the homeserver is not asked', async () => {
  const answer = await server.ask(`${stablePath}?user_id=${bob}`);
  expect([answer.status, answer.json.errcode]).toEqual([401, 'M_MISSING_TOKEN']);
  expect(stub.seen).toHaveLength(0);
});

test('"bad token": 401 M_UNKNOWN_TOKEN', async () => {
  const answer = await ask('nobody');
  expect(answer.status).toBe(401);
  expect(answer.json).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN' });
  expect(answer.json.soft_logout).not.toBe(true);
});

test('"soft logout": 401 M_UNKNOWN_TOKEN + `soft_logout: true`', async () => {
  stub.whoami.set('soft', {
    status: 401,
    body: { errcode: 'M_UNKNOWN_TOKEN', error: 'Access token has expired', soft_logout: true },
  });
  const answer = await ask('soft');
  expect(answer.status).toBe(401);
  expect(answer.json).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: true });
});

test('"locked account": 401 M_USER_LOCKED + `soft_logout: true`', async () => {
  stub.whoami.set('locked', {
    status: 401,
    body: { errcode: 'M_USER_LOCKED', error: 'This account has been locked', soft_logout: true },
  });
  const answer = await ask('locked');
  expect(answer.status).toBe(401);
  expect(answer.json).toMatchObject({ errcode: 'M_USER_LOCKED', soft_logout: true });
});

test('"suspended account": in neither list, so it may ask; an account that whoami forbids may not: 403', async () => {
  stub.whoami.set('expired', {
    status: 403,
    body: { errcode: 'ORG_MATRIX_EXPIRED_ACCOUNT', error: 'User account has expired' },
  });
  expect((await send403('expired')).status).toBe(403);
});

async function send403(token: string): Promise<{ status: number }> {
  // The errcode is the homeserver's own, so it need not begin with M_.
  const response = await fetch(`${server.url}${stablePath}?user_id=${bob}`, {
    headers: { authorization: `Bearer ${token}` },
  });
  expect(response.headers.get('access-control-allow-origin')).toBe('*');
  expect(await response.json()).toMatchObject({
    errcode: expect.any(String) as unknown,
    error: expect.any(String) as unknown,
  });
  return response;
}

test('"guest": 403 M_GUEST_ACCESS_FORBIDDEN, whatever the question', async () => {
  stub.knows('guest', '@guest:hs.example', true);
  for (const path of [stablePath, `${stablePath}?user_id=${bob}`, `${stablePath}?user_id=bad`]) {
    const answer = await server.ask(path, { token: 'guest' });
    expect([answer.status, answer.json.errcode]).toEqual([403, 'M_GUEST_ACCESS_FORBIDDEN']);
  }
});

test('`is_guest` absent = not guest', async () => {
  stub.whoami.set('old', { status: 200, body: { user_id: alice } });
  expect((await ask('old')).status).toBe(200);
});

test('"rate limited" by the homeserver: an error that says when to try again', async () => {
  stub.whoami.set('much', {
    status: 429,
    body: { errcode: 'M_LIMIT_EXCEEDED', error: 'Too Many Requests', retry_after_ms: 3000 },
    headers: { 'retry-after': '3' },
  });
  const answer = await ask('much');
  expect([429, 503]).toContain(answer.status);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
});

test.each([
  ['500', { status: 500, body: { errcode: 'M_UNKNOWN', error: 'Internal server error' } }],
  ['502 of a proxy, with HTML', { status: 502, body: '<html>x', headers: { 'content-type': 'text/html' } }],
  ['503', { status: 503, body: '' }],
  ['504', { status: 504, body: 'gateway timeout' }],
])('"upstream 5xx", here %s: 502 or 503 with Retry-After, and it is asked anew', async (name, stubAnswer) => {
  const token = `upstream-${name.replaceAll(/[ ,]/g, '-')}`;
  stub.whoami.set(token, stubAnswer);
  const answer = await ask(token);
  expect([502, 503]).toContain(answer.status);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
  expect(answer.text).not.toContain('<html>');
  stub.knows(token, alice);
  expect((await ask(token)).status).toBe(200);
});

test.each([
  ['404', { status: 404, body: { errcode: 'M_UNRECOGNIZED', error: 'what?' } }],
  ['302', { status: 302, body: '', headers: { location: 'http://127.0.0.1:9/' } }],
  ['200 without a user_id', { status: 200, body: { device_id: 'D' } }],
  ['200 with a user_id that is no text', { status: 200, body: { user_id: 7 } }],
  ['200 with null', { status: 200, body: 'null' }],
  ['200 that is no JSON', { status: 200, body: 'hello' }],
  ['200 beyond any bound', { status: 200, body: `{"user_id":"@a:x","pad":"${'x'.repeat(2 ** 20)}"}` }],
])(
  'an upstream that answers what no homeserver answers, %s: 502 or 503, never 401',
  async (name, stubAnswer) => {
    const token = `wrong-${name.replaceAll(' ', '-')}`;
    stub.whoami.set(token, stubAnswer);
    const answer = await ask(token);
    expect([502, 503]).toContain(answer.status);
    stub.knows(token, alice);
    expect((await ask(token)).status).toBe(200);
  },
);

test('an upstream that is not there: 502 or 503 with Retry-After', async () => {
  const gone = await HomeserverStub.start();
  const own = await openServer(configWithHomeserver(gone.url));
  await gone.close();
  const answer = await own.mutual(bob, 'any');
  expect([502, 503]).toContain(answer.status);
  expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
});

test('static tokens are known without a homeserver, and beside one', async () => {
  const own = await openServer(
    configWithHomeserver(stub.url, { auth: { staticTokens: new Map([['static', alice]]) } }),
  );
  stub.knows('dynamic', carol);
  await own.join([alice, bob], ['!a:x']);
  await own.join([carol, bob], ['!c:x']);
  expect(joinedOf(await own.mutual(bob, 'static'))).toEqual(['!a:x']);
  expect(stub.seen).toHaveLength(0);
  expect(joinedOf(await own.mutual(bob, 'dynamic'))).toEqual(['!c:x']);
});
