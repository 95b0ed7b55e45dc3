import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs';
import { createServer, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, describe, expect, it } from 'vitest';
import { run } from '../../src/commands/program.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { fakeTerminal } from './fake-terminal.js';

const servers: Server[] = [];
afterEach(async () => {
  for (const server of servers.splice(0)) await new Promise((resolve) => server.close(resolve));
});

/** Answers `status` and JSON by path, 404 elsewhere. */
async function startServer(answers: Record<string, [status: number, body: unknown]>): Promise<number> {
  const server = createServer((request, response) => {
    const [status, body] = answers[request.url ?? ''] ?? [404, {}];
    response.writeHead(status, { connection: 'close' }).end(JSON.stringify(body));
  });
  servers.push(server);
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return (server.address() as AddressInfo).port;
}

/** A port that nobody listens on. */
async function closedPort(): Promise<number> {
  const port = await startServer({});
  await new Promise((resolve) => servers.pop()?.close(resolve));
  return port;
}

const versions: [number, unknown] = [200, { versions: ['v1.11'] }];
const homeserver = {
  '/_matrix/client/versions': versions,
  '/_matrix/client/v3/account/whoami': [401, { errcode: 'M_UNKNOWN_TOKEN' }] as [number, unknown],
};

async function doctor(env: Record<string, string>) {
  const variables = Object.entries(env).map(([name, value]) => [`MUTUAL_ROOMS_${name}`, value]);
  const terminal = fakeTerminal(Object.fromEntries(variables));
  const code = await run(['doctor'], terminal);
  return { code, lines: terminal.written.out.trim().split('\n'), err: terminal.written.err };
}

const longToken = 'a'.repeat(32);

describe('data_dir', () => {
  const tokens = { AUTH_STATIC_TOKENS: '{"t":"@a:b"}', LISTEN_PORT: '0', SERVICE_TOKEN: longToken };

  async function dataDirLine(dataDir: string): Promise<string | undefined> {
    const { lines } = await doctor({ ...tokens, DATA_DIR: dataDir });
    return lines.find((line) => line.includes(' data_dir: '));
  }

  it('is looked at and not touched', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-doctor-'));
    const place = join(folder, 'not', 'there');
    expect(await dataDirLine(place)).toMatch(
      /^ok +data_dir: .* will be made: a store is made there, \d+ MiB free$/,
    );
    expect(readdirSync(folder)).toEqual([]);
    expect(await dataDirLine(folder)).toMatch(/^ok +data_dir: .* is empty/);
    expect(await dataDirLine('null')).toMatch(/^warn +data_dir: null: memory only/);
    const store = await LmdbStore.open({ directory: folder });
    await store.close();
    const before = readdirSync(folder);
    expect(await dataDirLine(folder)).toMatch(/^ok +data_dir: .* holds a store of \d+ MiB/);
    expect(readdirSync(folder)).toEqual(before);
    rmSync(folder, { recursive: true });
  });

  it('is of another program', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-doctor-'));
    writeFileSync(join(folder, 'PG_VERSION'), '15');
    expect(await dataDirLine(folder)).toMatch(/^FAIL +data_dir: .* holds something else \(PG_VERSION\)/);
    writeFileSync(join(folder, 'index.mdb'), 'no store');
    expect(await dataDirLine(folder)).toMatch(/^FAIL +data_dir: .* is no store of mutual-rooms/);
    rmSync(folder, { recursive: true });
  });
});

describe('doctor', () => {
  it('finds nothing to do', async () => {
    const port = await startServer(homeserver);
    const { code, lines, err } = await doctor({
      HOMESERVER_URL: `http://127.0.0.1:${port}`,
      LISTEN_PORT: '0',
      SERVICE_TOKEN: longToken,
    });
    expect(err).toBe('');
    expect(code).toBe(0);
    expect(lines.filter((line) => !line.startsWith('ok    '))).toEqual([]);
    expect(lines.map((line) => line.slice(6).split(':')[0])).toEqual([
      'node',
      'roaring',
      'lmdb',
      'memory',
      'config',
      'service_token',
      'data_dir',
      'listen',
      'homeserver',
      'whoami',
    ]);
  });

  it('shows every fault of the configuration', async () => {
    const { code, lines, err } = await doctor({ LISTEN_PORT: 'x', SHARDS: '99' });
    expect(lines.filter((line) => line.startsWith('FAIL  config: MUTUAL_ROOMS_'))).toHaveLength(2);
    expect(code).toBe(1);
    expect(err).toBe('mutual-rooms: 2 of 6 checks failed\n');
  });

  it.each([
    ['', /^warn {2}service_token: none/],
    ['change me', /^warn {2}service_token: it is the one of the example/],
    ['short', /^warn {2}service_token: it has under 16 characters/],
  ])('warns of service token "%s", and of static tokens', async (token, text) => {
    const { code, lines } = await doctor({
      AUTH_STATIC_TOKENS: '{"t":"@a:b"}',
      LISTEN_PORT: '0',
      ...(token !== '' && { SERVICE_TOKEN: token }),
    });
    expect(lines).toContainEqual(expect.stringMatching(text));
    expect(lines).toContainEqual(
      expect.stringMatching(/^warn {2}static_tokens: 1 given; .* give homeserver.url instead$/),
    );
    expect(code).toBe(0);
  });

  it.each([
    [
      'is no homeserver',
      {},
      /^FAIL {2}homeserver: .* does not answer .* \(status 404\); correct homeserver.url/,
    ],
    ['knows only versions', { '/_matrix/client/versions': versions }, /^FAIL {2}whoami: .* \(status 404\)/],
  ])('fails for what %s', async (_name, answers, text) => {
    const port = await startServer(answers);
    const { code, lines } = await doctor({ HOMESERVER_URL: `http://127.0.0.1:${port}`, LISTEN_PORT: '0' });
    expect(lines.at(-1)).toMatch(text);
    expect(code).toBe(1);
  });

  it('tells the running server from another one on its port', async () => {
    const alive: [number, unknown] = [200, { status: 'alive' }];
    const cases: [answers: Record<string, [number, unknown]>, text: RegExp][] = [
      [
        { '/health': alive, '/ready': [200, {}] },
        /^ok {4}listen: a mutual-rooms server runs on \S+ and is ready/,
      ],
      [
        { '/health': alive, '/ready': [503, {}] },
        /^warn {2}listen: a mutual-rooms server runs on \S+ but is not ready \(status 503\)/,
      ],
      [{}, /^FAIL {2}listen: \S+ is taken by something else; stop that, or choose another listen\.port/],
    ];
    for (const [answers, text] of cases) {
      const port = await startServer(answers);
      const { lines } = await doctor({ AUTH_STATIC_TOKENS: '{"t":"@a:b"}', LISTEN_PORT: String(port) });
      expect(lines.at(-1)).toMatch(text);
      expect(lines.filter((line) => line.startsWith('ok ')).join()).not.toContain('stop');
    }
  });

  it('warns of secrets that everybody may read, and fails for a configuration that is none', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-doctor-'));
    const file = join(folder, 'token');
    writeFileSync(file, longToken, { mode: 0o644 });
    const { code, lines } = await doctor({
      AUTH_STATIC_TOKENS: '{"t":"@a:b"}',
      LISTEN_PORT: '0',
      SERVICE_TOKEN_FILE: file,
    });
    expect(lines).toContain(
      `warn  config: ${file}: it holds secrets, and everybody on this machine may read it; run "chmod o-r ${file}"`,
    );
    expect(code).toBe(0);
    writeFileSync(file, 'listen: {');
    expect((await doctor({ CONFIG: file })).code).toBe(1);
    expect((await doctor({ CONFIG: join(folder, 'nowhere') })).code).toBe(1);
    rmSync(folder, { recursive: true });
  });

  it('says where it did not reach the database of Synapse, and not with which password', async () => {
    const port = await closedPort();
    const { code, lines } = await doctor({
      AUTH_STATIC_TOKENS: '{"t":"@a:b"}',
      LISTEN_PORT: '0',
      SOURCE_SYNAPSE_SERVER_NAME: 'example.org',
      SOURCE_SYNAPSE_POSTGRES: `postgres://reader:hush@127.0.0.1:${port}/synapse`,
    });
    expect(lines.at(-1)).toMatch(
      new RegExp(
        `^FAIL {2}postgres: reader at database synapse on 127.0.0.1:${port}: .*; nothing listens there`,
      ),
    );
    expect(lines.join()).not.toContain('hush');
    expect(lines).toContainEqual(expect.stringMatching(/^ok +service_token: none, and none is needed/));
    expect(code).toBe(1);
  });
});
