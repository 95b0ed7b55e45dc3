/** What holds for every answer, whatever was asked? (`ask` checks CORS, Content-Type and the shape of errors each time.) */
import { METHODS } from 'node:http';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import {
  bob,
  membershipsPath,
  serviceToken,
  stablePath,
  startServer,
  testConfig,
  unstablePath,
  unstableSharedPath,
  type ServerUnderTest,
} from './server-under-test.js';

const getPaths = [
  `${stablePath}?user_id=${bob}`,
  '/_matrix/client/unstable/mutual_rooms',
  unstablePath,
  `${unstablePath}/${bob}`,
  `${unstableSharedPath}/${bob}`,
  '/_matrix/client/versions',
  '/health',
  '/ready',
  '/metrics',
];

let server: ServerUnderTest;

beforeAll(async () => {
  server = await startServer(testConfig({ import: { bodyBytesMax: 1000 } }));
});

afterAll(() => server.close());

test.each([
  '/',
  '/_matrix/client/v1/mutual_room',
  '/_matrix/client/v3/login',
  '/%00',
  '/a//b',
  '/*',
  '/%2e%2e/',
])('"unknown path": 404 M_UNRECOGNIZED for %s, by any method', async (path) => {
  for (const method of ['GET', 'POST', 'PUT', 'DELETE', 'PATCH', 'PROPFIND']) {
    const answer = await server.ask(path, { method });
    expect([answer.status, answer.json.errcode]).toEqual([404, 'M_UNRECOGNIZED']);
  }
  const head = await server.ask(path, { method: 'HEAD' });
  expect([head.status, head.text]).toEqual([404, '']);
  const options = await server.ask(path, { method: 'OPTIONS' });
  expect([options.status, options.text]).toEqual([204, '']);
});

describe('"wrong method": 405 M_UNRECOGNIZED', () => {
  // Node's parser takes CONNECT for a tunnel: there is no request, and the connection is closed.
  const strange = METHODS.filter((method) => !['GET', 'HEAD', 'OPTIONS', 'CONNECT'].includes(method));

  test.each(getPaths)('%s, by every method that there is, with Allow', async (path) => {
    for (const method of strange) {
      const answer = await server.ask(path, { method, token: 'alice-token' });
      expect([method, answer.status, answer.json.errcode]).toEqual([method, 405, 'M_UNRECOGNIZED']);
      expect(answer.headers.allow).toBe('GET, HEAD, OPTIONS');
    }
  });

  test('memberships, by every method but POST and OPTIONS', async () => {
    for (const method of [...strange.filter((each) => each !== 'POST'), 'GET']) {
      const answer = await server.ask(membershipsPath, { method, token: serviceToken });
      expect([method, answer.status, answer.json.errcode]).toEqual([method, 405, 'M_UNRECOGNIZED']);
      expect(answer.headers.allow).toBe('POST, OPTIONS');
    }
    const head = await server.ask(membershipsPath, { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([405, '']);
  });

  test.each([
    'application/json',
    'text/plain',
    'application/octet-stream',
    'multipart/form-data',
    'x',
    ';;',
    '',
  ])('with a body of media type "%s"', async (type) => {
    for (const method of ['POST', 'PUT', 'PATCH', 'DELETE']) {
      const answer = await server.ask(`${stablePath}?user_id=${bob}`, {
        method,
        headers: { 'content-type': type },
        body: '{"no',
      });
      expect([answer.status, answer.json.errcode]).toEqual([405, 'M_UNRECOGNIZED']);
    }
  });

  test('with a body that is larger than any that we take', async () => {
    const body = Buffer.alloc(3_000_000, 'x');
    const declared = await server.ask(stablePath, {
      method: 'POST',
      body,
      headers: { 'content-type': 'a/b' },
    });
    expect(declared.status).toBe(405);
    const chunked = await server.ask(stablePath, { method: 'PUT', body: [body, body] });
    expect(chunked.status).toBe(405);
  });
});

test('a GET with a body is answered all the same', async () => {
  for (const type of ['application/json', 'a/b']) {
    const answer = await server.ask(`${stablePath}?user_id=${bob}`, {
      token: 'alice-token',
      headers: { 'content-type': type, 'content-length': '5' },
      body: 'hello',
    });
    expect(answer.status).toBe(200);
  }
});

describe('what does not even parse', () => {
  test.each([
    '/%',
    '/%zz',
    '/%c3%28',
    `${unstablePath}/%`,
    `${unstableSharedPath}/%ff`,
    `${stablePath}/%e0%a4%a`,
  ])('bad percent-encoding in the path: 400 for %s, also by HEAD and POST', async (path) => {
    expect((await server.ask(path, { token: 'alice-token' })).status).toBe(400);
    expect((await server.ask(path, { method: 'POST' })).status).toBe(400);
    const head = await server.ask(path, { method: 'HEAD' });
    expect([head.status, head.text]).toEqual([400, '']);
  });

  test('bad percent-encoding in the path of OPTIONS: 204 like any other', async () => {
    const answer = await server.ask('/%zz', { method: 'OPTIONS' });
    expect([answer.status, answer.text]).toEqual([204, '']);
  });

  test('headers too large: 431', async () => {
    const answer = await server.exchange(
      `GET ${stablePath} HTTP/1.1\r\nHost: x\r\nX-Long: ${'x'.repeat(20_000)}\r\n\r\n`,
    );
    expect(answer.status).toBe(431);
  });

  test('a query string too large: 431', async () => {
    const answer = await server.exchange(
      `GET ${stablePath}?from=${'x'.repeat(20_000)} HTTP/1.1\r\nHost: x\r\n\r\n`,
    );
    expect(answer.status).toBe(431);
  });

  test.each([
    ['no HTTP', 'hello\r\n\r\n'],
    ['another protocol', '\u0016\u0003\u0001\r\n\r\n'],
    ['a method that nobody knows', `FROBNICATE ${stablePath} HTTP/1.1\r\nHost: x\r\n\r\n`],
    ['a space in the path', `GET ${stablePath}?user_id=@a b:x HTTP/1.1\r\nHost: x\r\n\r\n`],
    ['a header without a colon', `GET ${stablePath} HTTP/1.1\r\nHost: x\r\nnonsense\r\n\r\n`],
    ['a header with a control character', `GET / HTTP/1.1\r\nHost: x\r\nX-A: a\u0000b\r\n\r\n`],
    ['two lengths', `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nContent-Length: 2\r\n\r\nab`],
    [
      'a length and chunks',
      `POST / HTTP/1.1\r\nHost: x\r\nContent-Length: 1\r\nTransfer-Encoding: chunked\r\n\r\n0\r\n\r\n`,
    ],
    ['HTTP/1.1 without Host', `GET /health HTTP/1.1\r\nConnection: close\r\n\r\n`],
  ])('%s: 400', async (_, bytes) => {
    expect((await server.exchange(bytes)).status).toBe(400);
  });

  test('a chunk whose length is no number, in the middle of a body: 400', async () => {
    const answer = await server.exchange(
      `POST ${membershipsPath} HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${serviceToken}\r\n` +
        'Content-Type: application/x-ndjson\r\nTransfer-Encoding: chunked\r\n\r\nzz\r\n',
    );
    expect(answer.status).toBe(400);
  });
});

test('"413": memberships beyond the bound', async () => {
  const answer = await server.ask(membershipsPath, {
    method: 'POST',
    token: serviceToken,
    headers: { 'content-type': 'application/x-ndjson' },
    body: 'x'.repeat(2000),
  });
  expect([answer.status, answer.json.errcode]).toEqual([413, 'M_TOO_LARGE']);
});

test('OPTIONS on anything: 204, no body, no auth, no logic, also with a body', async () => {
  for (const path of [...getPaths, membershipsPath, '/nothing', '/_mutual_rooms/v1/nothing']) {
    const answer = await server.ask(path, { method: 'OPTIONS' });
    expect([path, answer.status, answer.text]).toEqual([path, 204, '']);
    const withBody = await server.ask(path, {
      method: 'OPTIONS',
      headers: { 'content-type': 'application/json' },
      body: '{"no',
    });
    expect([path, withBody.status]).toEqual([path, 204]);
  }
});

test('browser code can read Retry-After', async () => {
  const answer = await server.ask('/health');
  expect(answer.headers['access-control-expose-headers']).toContain('Retry-After');
});

test('what else node would answer by itself: Expect and Upgrade are ignored', async () => {
  for (const headers of [
    'Expect: a-miracle\r\nConnection: close',
    'Connection: Upgrade, close\r\nUpgrade: websocket',
  ]) {
    const answer = await server.exchange(`GET /health HTTP/1.1\r\nHost: x\r\n${headers}\r\n\r\n`);
    expect(answer.status).toBe(200);
  }
});

test('HTTP/1.0 needs no Host', async () => {
  expect((await server.exchange('GET /health HTTP/1.0\r\n\r\n')).status).toBe(200);
});

test('requests in one pipeline are answered in order', async () => {
  const { hostname } = new URL(server.url);
  const get = (path: string, more = ''): string => `GET ${path} HTTP/1.1\r\nHost: ${hostname}\r\n${more}\r\n`;
  const { connect } = await import('node:net');
  const text = await new Promise<string>((resolve, reject) => {
    const socket = connect(Number(new URL(server.url).port), hostname);
    let received = '';
    socket.on('data', (chunk) => (received += chunk.toString()));
    socket.on('error', reject);
    socket.on('end', () => resolve(received));
    socket.write(get('/nothing') + get('/health') + get(stablePath, 'Connection: close\r\n'));
  });
  expect(text.match(/HTTP\/1\.1 \d+/g)).toEqual(['HTTP/1.1 404', 'HTTP/1.1 200', 'HTTP/1.1 401']);
});
