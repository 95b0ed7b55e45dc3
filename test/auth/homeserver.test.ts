import type { IncomingMessage, ServerResponse } from 'node:http';
import { afterEach, describe, expect, it } from 'vitest';
import { Homeserver, type HomeserverOptions } from '../../src/auth/homeserver.js';
import { answerBytesMax } from '../../src/auth/bounds.js';
import { answerJson, startHomeserver, whoamiOf, type FakeHomeserver } from './fake-homeserver.js';

const closers: (() => Promise<void>)[] = [];

afterEach(async () => {
  for (const close of closers.splice(0).reverse()) await close();
});

async function start(
  handler: (request: IncomingMessage, response: ServerResponse) => void,
  options: HomeserverOptions = {},
  path = '',
): Promise<{ fake: FakeHomeserver; homeserver: Homeserver }> {
  const fake = await startHomeserver(handler);
  const homeserver = new Homeserver(fake.url + path, options);
  closers.push(
    () => fake.close(),
    () => homeserver.close(),
  );
  return { fake, homeserver };
}

const nothing = { status: 503, errcode: 'M_UNKNOWN', retryAfterSeconds: 5 };
const credentials = { accessToken: 'alice-token' };

describe('what the homeserver is asked', () => {
  it('is whoami, with the token and where the client is, and nothing else', async () => {
    const { fake, homeserver } = await start(whoamiOf({ 'alice-token': { user_id: '@alice:example.org' } }));
    await homeserver.whoami({
      ...credentials,
      userAgent: 'Element/1.0',
      forwardedFor: '192.0.2.1, 10.0.0.1',
    });
    expect(fake.asked).toHaveLength(1);
    const { method, url, headers } = fake.asked[0];
    expect({ method, url }).toEqual({ method: 'GET', url: '/_matrix/client/v3/account/whoami' });
    expect(headers).toMatchObject({
      authorization: 'Bearer alice-token',
      'user-agent': 'Element/1.0',
      'x-forwarded-for': '192.0.2.1, 10.0.0.1',
    });
    expect(Object.keys(headers).sort()).toEqual([
      'accept',
      'authorization',
      'connection',
      'host',
      'user-agent',
      'x-forwarded-for',
      'x-mutual-rooms-asks',
    ]);
  });

  it.each(['/prefix/deeper', '/prefix/deeper/'])('goes below the path of the URL: %s', async (path) => {
    const { fake, homeserver } = await start(
      whoamiOf({ 'alice-token': { user_id: '@alice:example.org' } }),
      {},
      path,
    );
    await homeserver.whoami(credentials);
    expect(fake.asked[0].url).toBe('/prefix/deeper/_matrix/client/v3/account/whoami');
  });

  it('never has a query string, not even when a token looks like one', async () => {
    const { fake, homeserver } = await start(whoamiOf({}));
    const accessToken = 'x?user_id=@alice:example.org&access_token=y#z';
    await expect(homeserver.whoami({ accessToken })).rejects.toMatchObject({ status: 401 });
    expect(fake.asked.map(({ url }) => url)).toEqual(['/_matrix/client/v3/account/whoami']);
    expect(fake.asked[0].headers.authorization).toBe(`Bearer ${accessToken}`);
  });

  it.each(['', ' ', 'a b', 'a\r\nb', 'a\u0000', 'a\u007f', 'a\u0100', '\ud800'])(
    'is nothing at all for a token that fits in no header: %j',
    async (accessToken) => {
      const { fake, homeserver } = await start(whoamiOf({}));
      const refused = { status: 401, errcode: 'M_UNKNOWN_TOKEN' };
      await expect(homeserver.whoami({ accessToken })).rejects.toMatchObject(refused);
      await expect(homeserver.versions({ accessToken })).rejects.toMatchObject(refused);
      expect(fake.asked).toEqual([]);
    },
  );

  it('leaves out a user agent that fits in no header', async () => {
    const { fake, homeserver } = await start(whoamiOf({ 'alice-token': { user_id: '@alice:example.org' } }));
    await homeserver.whoami({ ...credentials, userAgent: 'a\r\nx-evil: yes', forwardedFor: '' });
    expect(fake.asked[0].headers).not.toHaveProperty('user-agent');
    expect(fake.asked[0].headers).not.toHaveProperty('x-evil');
    expect(fake.asked[0].headers).not.toHaveProperty('x-forwarded-for');
  });

  it('is versions, with the token when there is one', async () => {
    const body = { versions: ['v1.11'], unstable_features: { x: true } };
    const { fake, homeserver } = await start((_request, response) => answerJson(response, 200, body));
    expect(await homeserver.versions(undefined)).toEqual(body);
    expect(await homeserver.versions(credentials)).toEqual(body);
    expect(fake.asked.map(({ url }) => url)).toEqual([
      '/_matrix/client/versions',
      '/_matrix/client/versions',
    ]);
    expect(fake.asked.map(({ headers }) => headers.authorization)).toEqual([undefined, 'Bearer alice-token']);
  });
});

describe('what an answer means', () => {
  it.each([
    ['a user', { user_id: '@a:x', device_id: 'D' }, { userId: '@a:x', isGuest: false }],
    ['a user who is no guest', { user_id: '@a:x', is_guest: false }, { userId: '@a:x', isGuest: false }],
    ['a guest', { user_id: '@1:x', is_guest: true }, { userId: '@1:x', isGuest: true }],
  ])('200 with %s', async (_what, body, asker) => {
    const { homeserver } = await start((_request, response) => answerJson(response, 200, body));
    expect(await homeserver.whoami(credentials)).toEqual(asker);
  });

  const wrong = { status: 502, errcode: 'M_UNKNOWN' };
  const html = '<html>Sign in</html>';
  const rows: [status: number, body: unknown, headers: object, error: object][] = [
    [200, html, {}, wrong],
    [200, '', {}, wrong],
    [200, 'null', {}, wrong],
    [200, [{ user_id: '@a:x' }], {}, wrong],
    [200, {}, {}, wrong],
    [200, { user_id: 7 }, {}, wrong],
    [200, { user_id: '' }, {}, wrong],
    [200, { user_id: `@${'a'.repeat(2000)}:x` }, {}, wrong],
    [201, { user_id: '@a:x' }, {}, wrong],
    [302, '', { location: 'https://example.org/' }, wrong],
    [400, { errcode: 'M_UNRECOGNIZED', error: 'what' }, {}, wrong],
    [
      401,
      { errcode: 'M_UNKNOWN_TOKEN', error: 'gone' },
      {},
      { status: 401, errcode: 'M_UNKNOWN_TOKEN', message: 'gone', softLogout: undefined },
    ],
    [
      401,
      { errcode: 'M_UNKNOWN_TOKEN', error: 'late', soft_logout: true },
      {},
      { status: 401, errcode: 'M_UNKNOWN_TOKEN', softLogout: true },
    ],
    [
      401,
      { errcode: 'M_UNKNOWN_TOKEN', error: 'x', soft_logout: 'yes' },
      {},
      { status: 401, softLogout: undefined },
    ],
    [
      401,
      { errcode: 'M_USER_LOCKED', error: 'locked', soft_logout: true },
      {},
      { status: 401, errcode: 'M_USER_LOCKED', message: 'locked', softLogout: true },
    ],
    [401, html, {}, wrong],
    [401, { errcode: 7 }, {}, wrong],
    [
      401,
      { errcode: 'M_X', error: 'e'.repeat(2000) },
      {},
      { status: 401, errcode: 'M_X', message: 'the homeserver refuses this access token' },
    ],
    [
      403,
      { errcode: 'ORG_MATRIX_EXPIRED_ACCOUNT', error: 'renew' },
      {},
      { status: 403, errcode: 'ORG_MATRIX_EXPIRED_ACCOUNT', message: 'renew' },
    ],
    [403, html, {}, wrong],
    [
      429,
      { errcode: 'M_LIMIT_EXCEEDED', retry_after_ms: 2500 },
      {},
      { status: 429, errcode: 'M_LIMIT_EXCEEDED', retryAfterSeconds: 3 },
    ],
    [429, { retry_after_ms: 2500 }, { 'retry-after': '7' }, { status: 429, retryAfterSeconds: 7 }],
    [
      429,
      html,
      { 'retry-after': 'Thu, 01 Jan 1970 00:01:30 GMT' },
      { status: 429, errcode: 'M_LIMIT_EXCEEDED', retryAfterSeconds: 30 },
    ],
    [429, html, { 'retry-after': 'soon' }, { status: 429, retryAfterSeconds: 1 }],
    [429, { retry_after_ms: -5 }, {}, { status: 429, retryAfterSeconds: 1 }],
    [429, html, { 'retry-after': '9'.repeat(40) }, { status: 429, retryAfterSeconds: 86_400 }],
    [500, { errcode: 'M_UNKNOWN', error: 'Internal server error' }, {}, { ...wrong, retryAfterSeconds: 5 }],
    [501, html, {}, { ...wrong, retryAfterSeconds: 5 }],
    [502, html, {}, nothing],
    [503, html, { 'retry-after': '20' }, { ...nothing, retryAfterSeconds: 20 }],
    [504, html, {}, nothing],
  ];

  it.each(rows)('%i %j %j', async (status, body, headers, error) => {
    const clock = { nowMs: () => 60_000, monotonicMs: () => 0 };
    const { homeserver } = await start(
      (_request, response) =>
        typeof body === 'string'
          ? response.writeHead(status, { 'content-type': 'text/html', ...headers }).end(body)
          : answerJson(response, status, body, headers),
      { clock },
    );
    await expect(homeserver.whoami(credentials)).rejects.toMatchObject({ name: 'MatrixError', ...error });
  });

  it('404 says what to look at', async () => {
    const { homeserver } = await start((_request, response) => response.writeHead(404).end());
    await expect(homeserver.whoami(credentials)).rejects.toMatchObject({
      ...wrong,
      message: 'the homeserver answered 404 to whoami; homeserver.url should be checked',
    });
    await expect(homeserver.versions(undefined)).rejects.toMatchObject({
      ...wrong,
      message: 'the homeserver answered 404 to versions; homeserver.url should be checked',
    });
  });
});

describe('a homeserver that gives no answer', () => {
  it('is not there', async () => {
    const { fake, homeserver } = await start(whoamiOf({}));
    await fake.close();
    const error: unknown = await homeserver.whoami(credentials).catch((e: unknown) => e);
    expect(error).toMatchObject(nothing);
    expect((error as Error).message).toContain('ECONNREFUSED');
    expect((error as Error).message).not.toContain('127.0.0.1');
  });

  it('is slow to begin', async () => {
    const { homeserver } = await start(() => {}, { timeoutMs: 100 });
    await expect(homeserver.whoami(credentials)).rejects.toMatchObject(nothing);
  });

  it('is slow to end, though never silent for long', async () => {
    const { homeserver } = await start(
      (_request, response) => {
        response.writeHead(200);
        const drip = setInterval(() => response.write(' '), 20);
        response.on('close', () => clearInterval(drip));
      },
      { timeoutMs: 200 },
    );
    await expect(homeserver.whoami(credentials)).rejects.toMatchObject(nothing);
  });

  it('answers without end', async () => {
    const { homeserver } = await start((_request, response) => {
      response.on('error', () => {});
      response.end(JSON.stringify({ user_id: '@a:x', padding: 'x'.repeat(answerBytesMax) }));
    });
    const error: unknown = await homeserver.whoami(credentials).catch((e: unknown) => e);
    expect(error).toMatchObject(nothing);
    expect((error as Error).message).toContain('MAX_SIZE');
  });

  it('closes every connection', async () => {
    const { fake, homeserver } = await start((request) => request.socket.destroy());
    await expect(homeserver.whoami(credentials)).rejects.toMatchObject(nothing);
    expect(fake.asked).toHaveLength(2);
  });

  it('breaks off in the middle', async () => {
    const { homeserver } = await start((request, response) => {
      response.writeHead(200, { 'content-length': '100' }).write('{"user_id":"@a:x"');
      setTimeout(() => request.socket.destroy(), 20);
    });
    await expect(homeserver.whoami(credentials)).rejects.toMatchObject(nothing);
  });

  it('is busy with all the calls it may have', async () => {
    const held: ServerResponse[] = [];
    const { fake, homeserver } = await start((_request, response) => held.push(response), {
      callsInFlightMax: 2,
    });
    const calls = [homeserver.versions(undefined), homeserver.whoami(credentials)];
    await expect(homeserver.versions(undefined)).rejects.toMatchObject({ status: 503, retryAfterSeconds: 1 });
    await expect.poll(() => held.length).toBe(2);
    for (const response of held.splice(0)) answerJson(response, 200, { user_id: '@a:x' });
    await Promise.all(calls);
    const after = homeserver.versions(undefined);
    await expect.poll(() => held.length).toBe(1);
    answerJson(held[0], 200, {});
    await after;
    expect(fake.asked).toHaveLength(3);
  });

  it('was closed by us', async () => {
    const { fake, homeserver } = await start(whoamiOf({}));
    await homeserver.close();
    await homeserver.close();
    await expect(homeserver.whoami(credentials)).rejects.toMatchObject(nothing);
    expect(fake.asked).toEqual([]);
  });
});

describe('a homeserver that comes and goes', () => {
  it('is asked once more when it closes a connection under us', async () => {
    let count = 0;
    const { homeserver } = await start((request, response) => {
      count += 1;
      if (count === 1) request.socket.destroy();
      else answerJson(response, 200, { user_id: '@a:x' });
    });
    expect(await homeserver.whoami(credentials)).toEqual({ userId: '@a:x', isGuest: false });
  });

  it('is told of a call that is under way when we close', async () => {
    const { homeserver } = await start((_request, response) => {
      setTimeout(() => answerJson(response, 200, { user_id: '@a:x' }), 50);
    });
    const call = homeserver.whoami(credentials);
    await homeserver.close();
    expect(await call).toEqual({ userId: '@a:x', isGuest: false });
  });
});
