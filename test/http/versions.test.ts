/** Do clients that look before they ask find the feature, and everything else that the homeserver has? */
import { beforeEach, describe, expect, test } from 'vitest';
import { freePort } from '../servers/free-port.js';
import { HomeserverStub } from './homeserver-stub.js';
import { configWithHomeserver, openServer, testConfig, type ServerUnderTest } from './server-under-test.js';

const versionsPath = '/_matrix/client/versions';
const flags = {
  'uk.half-shot.msc2666': true,
  'uk.half-shot.msc2666.mutual_rooms': true,
  'uk.half-shot.msc2666.query_mutual_rooms': true,
  'uk.half-shot.msc2666.query_mutual_rooms.stable': true,
};

describe('with a homeserver', () => {
  let stub: HomeserverStub;

  beforeEach(async () => {
    stub = await HomeserverStub.start();
    return () => stub.close();
  });

  const open = (advertiseV119 = false): Promise<ServerUnderTest> =>
    openServer(configWithHomeserver(stub.url, { versions: { advertiseV119 } }));

  test('its own answer is kept and the flags are added', async () => {
    stub.versions = {
      status: 200,
      body: {
        versions: ['r0.6.1', 'v1.11', 'v1.12'],
        unstable_features: { 'org.example.feature': true, 'org.example.off': false },
        server: { name: 'Example', version: '1.0' },
        'org.example.key': [1, 2],
      },
    };
    const server = await open();
    const answer = await server.ask(versionsPath);
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({
      versions: ['r0.6.1', 'v1.11', 'v1.12'],
      unstable_features: { 'org.example.feature': true, 'org.example.off': false, ...flags },
      server: { name: 'Example', version: '1.0' },
      'org.example.key': [1, 2],
    });
  });

  test('a flag that it has as false becomes true, for we serve it', async () => {
    stub.versions = {
      status: 200,
      body: { versions: ['v1.12'], unstable_features: { 'uk.half-shot.msc2666.query_mutual_rooms': false } },
    };
    const server = await open();
    expect((await server.ask(versionsPath)).json.unstable_features).toEqual(flags);
  });

  test.each([{}, { versions: 'no' }, { versions: [7] }])(
    'an answer without versions, %j: 502, not a half one',
    async (body) => {
      stub.versions = { status: 200, body };
      expect((await (await open()).ask(versionsPath)).status).toBe(502);
    },
  );

  test('an address of the homeserver that leads back here is found out at once', async () => {
    const port = await freePort();
    const server = await openServer(
      configWithHomeserver(`http://127.0.0.1:${port}`, { listen: { host: '127.0.0.1', port } }),
    );
    const answer = await server.ask(versionsPath);
    expect([answer.status, answer.json.error]).toEqual([
      502,
      'homeserver.url leads back to mutual-rooms: give the address of the homeserver itself',
    ]);
  });

  test('`v1.19` only when configured, and never twice', async () => {
    expect((await (await open(false)).ask(versionsPath)).json.versions).toEqual(['v1.11', 'v1.12']);
    const server = await open(true);
    expect((await server.ask(versionsPath)).json.versions).toEqual(['v1.11', 'v1.12', 'v1.19']);
    stub.versions = { status: 200, body: { versions: ['v1.19', 'v1.20'] } };
    expect((await server.ask(versionsPath)).json.versions).toEqual(['v1.19', 'v1.20']);
  });

  test('asked with a token it is told whose it is; without one it is told nothing; never a query string', async () => {
    const server = await open();
    await server.ask(`${versionsPath}?user_id=@a:x`);
    await server.ask(versionsPath, { token: 'a-token' });
    await server.ask(`${versionsPath}?access_token=b-token&user_id=@a:x`);
    expect(stub.seen.map(({ url }) => url)).toEqual([versionsPath, versionsPath, versionsPath]);
    expect(stub.seen.map(({ headers }) => headers.authorization)).toEqual([
      undefined,
      'Bearer a-token',
      'Bearer b-token',
    ]);
  });

  test('a token that it does not know makes its error ours', async () => {
    stub.versions = {
      status: 401,
      body: { errcode: 'M_UNKNOWN_TOKEN', error: 'Unknown token', soft_logout: true },
    };
    const server = await open();
    const answer = await server.ask(versionsPath, { token: 'old' });
    expect(answer.status).toBe(401);
    expect(answer.json).toMatchObject({ errcode: 'M_UNKNOWN_TOKEN', soft_logout: true });
  });

  test.each([
    ['500', { status: 500, body: { errcode: 'M_UNKNOWN', error: 'oops' } }],
    ['502 with HTML', { status: 502, body: '<html>' }],
    ['404', { status: 404, body: {} }],
    ['no JSON', { status: 200, body: 'hello' }],
    ['JSON that is no object', { status: 200, body: '[]' }],
    ['null', { status: 200, body: 'null' }],
    ['more than anybody would say', { status: 200, body: { versions: ['v1.1'], pad: 'x'.repeat(2 ** 20) } }],
  ])('a homeserver that answers %s: a clean 502 or 503, not half an answer', async (_, versions) => {
    stub.versions = versions;
    const server = await open(true);
    const answer = await server.ask(versionsPath);
    expect([502, 503]).toContain(answer.status);
    if (versions.status >= 500) expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
    expect(answer.json.versions).toBeUndefined();
    stub.versions = { status: 200, body: { versions: ['v1.12'] } };
    expect((await server.ask(versionsPath)).status).toBe(200);
  });

  test('a homeserver that is gone: a clean 502 or 503', async () => {
    const gone = await HomeserverStub.start();
    const server = await openServer(configWithHomeserver(gone.url));
    await gone.close();
    const answer = await server.ask(versionsPath);
    expect([502, 503]).toContain(answer.status);
  });

  test('HEAD: as GET, without a body', async () => {
    const server = await open();
    const head = await server.ask(versionsPath, { method: 'HEAD' });
    expect([head.status, head.text, head.headers['content-type']]).toEqual([200, '', 'application/json']);
  });
});

test('without a homeserver: an answer of our own, with or without a token', async () => {
  const server = await openServer(testConfig());
  for (const token of [undefined, 'alice-token', 'unknown']) {
    const answer = await server.ask(versionsPath, { token });
    expect(answer.status).toBe(200);
    expect(answer.json).toEqual({ versions: ['v1.19'], unstable_features: flags });
  }
});
