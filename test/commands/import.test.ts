import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { gzipSync } from 'node:zlib';
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, it } from 'vitest';
import { systemClock } from '../../src/base/clock.js';
import { run } from '../../src/commands/program.js';
import { fakeTerminal, type FakeTerminal } from './fake-terminal.js';
import { answering, hangUp, startIngestStub, type IngestStub } from './ingest-stub.js';

let folder: string;
let stub: IngestStub;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-import-'));
});
afterAll(() => rmSync(folder, { recursive: true }));
beforeEach(async () => {
  stub = await startIngestStub();
});
afterEach(() => stub.close());

const line = (user: number | string): string =>
  JSON.stringify({ user_id: `@${user}:x`, room_id: '!r:x', membership: 'join' });

function write(name: string, content: string | Buffer): string {
  const file = join(folder, name);
  writeFileSync(file, content);
  return file;
}

interface Outcome {
  readonly code: number;
  readonly out: string;
  readonly err: string;
  readonly terminal: FakeTerminal;
}

async function importIt(args: string[], { stdin = [] as Buffer[], token = 'secret' } = {}): Promise<Outcome> {
  const terminal = fakeTerminal(token === '' ? {} : { MUTUAL_ROOMS_SERVICE_TOKEN: token }, stdin);
  const code = await run(['import', ...args], terminal);
  return { code, ...terminal.written, terminal };
}

describe('import', () => {
  it('sends every line that is not blank, and sums up', async () => {
    const { code, out, err } = await importIt([
      write('a', `${line(1)}\r\n\n${line(2)}`),
      '--url',
      `${stub.url}/`,
    ]);
    expect(err).toBe('');
    expect(out).toMatch(/^applied 2, ignored 0, rejected 0 in \d+\.\d s\n$/);
    expect(code).toBe(0);
    expect(stub.bodies).toEqual([[line(1), line(2)]]);
  });

  it('finds server and token in the configuration', async () => {
    const config = write('c.yaml', `listen: { port: ${new URL(stub.url).port} }\nservice_token: secret`);
    const { code } = await importIt([write('a', line(1)), '--config', config], { token: '' });
    expect(code).toBe(0);
    expect(stub.bodies).toHaveLength(1);
  });

  it('cuts batches at lines, by bytes and by count', async () => {
    const lines = Array.from({ length: 25_000 }, (_, user) => line(user));
    const long = Array.from({ length: 100 }, (_, user) => line(`${user}${'x'.repeat(15_000)}`));
    const { code } = await importIt([write('a', [...lines, ...long].join('\n')), '--url', stub.url]);
    expect(code).toBe(0);
    expect(stub.bodies.flat()).toEqual([...lines, ...long]);
    for (const body of stub.bodies) {
      expect(body.length).toBeLessThanOrEqual(10_000);
      expect(Buffer.byteLength(`${body.join('\n')}\n`)).toBeLessThanOrEqual(2 ** 20);
    }
    expect(stub.bodies.length).toBeLessThan(7);
  });

  it('reads stdin in any pieces, gzip by suffix and gzip by its first bytes', async () => {
    const packed = gzipSync(`${line(1)}\n${line(2)}\n`);
    await importIt(['-', '--url', stub.url], { stdin: Array.from(packed, (byte) => Buffer.from([byte])) });
    await importIt(['-', '--url', stub.url], { stdin: [Buffer.from(line(1)), Buffer.from(`\n${line(2)}`)] });
    await importIt([write('a.gz', packed), '--url', stub.url]);
    await importIt([write('b', Buffer.concat([packed.subarray(0), gzipSync(line(3))])), '--url', stub.url]);
    const two = [line(1), line(2)];
    expect(stub.bodies).toEqual([two, two, two, [...two, line(3)]]);
  });

  it('names rejected lines by their number in the file, and goes on', async () => {
    const first = Array.from({ length: 10_000 }, (_, user) => line(user)).join('\n\n');
    const text = `${first}\n\n${line('bad')}\n${'x'.repeat(20_000)}\n${line(2)}\n${line('bad')}`;
    const { code, out, err } = await importIt([write('a', text), '--url', stub.url]);
    expect(code).toBe(0);
    expect(out).toMatch(/^applied 10001, ignored 0, rejected 3 /);
    expect(err.trim().split('\n').sort()).toEqual([
      'line 20001: it is bad',
      'line 20002: the line is longer than 16384 bytes',
      'line 20004: it is bad',
    ]);
  });

  it('lists the first hundred only', async () => {
    const { out, err } = await importIt([write('a', `${line('bad')}\n`.repeat(250)), '--url', stub.url]);
    expect(out).toMatch(/rejected 250 /);
    expect(err.match(/it is bad/g)).toHaveLength(100);
    expect(err).toMatch(/\nand 150 more rejected lines\n/);
  });

  it('--strict sends nothing behind the first rejected line', async () => {
    const text = `${line(1)}\n\nno JSON\n${line(2)}`;
    const { code, out, err } = await importIt([write('a', text), '--url', stub.url, '--strict']);
    expect(code).toBe(1);
    expect(stub.bodies).toEqual([[line(1)]]);
    expect(out).toMatch(/^applied 1, ignored 0, rejected 1 /);
    expect(err).toMatch(
      /^line 3: the line is not JSON.*\nmutual-rooms: .*stopped at a rejected line \(--strict\).*\n$/,
    );
  });

  it('--strict also stops at what only the server rejects', async () => {
    const { code } = await importIt([
      write('a', `${line('bad')}\n${line(2)}`),
      '--url',
      stub.url,
      '--strict',
    ]);
    expect(code).toBe(1);
  });

  it('sends a batch again while the server is busy or away, as late as it asks for', async () => {
    stub.queued.push(
      answering(503, { 'retry-after': '7' }),
      hangUp,
      answering(429, { 'retry-after': '9999' }),
      answering(502),
    );
    const { code, err, terminal } = await importIt([write('a', line(1)), '--url', stub.url]);
    expect(err).toMatch(/^http:\S+ answered 503: trying again for up to 600 s\n$/);
    expect(code).toBe(0);
    expect(terminal.waitsMs).toEqual([7000, 500, 30_000, 2000]);
    expect(stub.bodies).toEqual([[line(1)]]);
  });

  it('gives up after ten minutes', async () => {
    stub.queued.push(...Array.from({ length: 999 }, () => answering(503, {}, '{"error":"loading"}')));
    const { code, out, err, terminal } = await importIt([write('a', line(1)), '--url', stub.url]);
    expect(code).toBe(1);
    expect(terminal.clock.monotonicMs() - systemClock.monotonicMs()).toBeGreaterThan(590_000);
    expect(terminal.clock.monotonicMs() - systemClock.monotonicMs()).toBeLessThanOrEqual(600_000);
    expect(Math.max(...terminal.waitsMs)).toBe(5000);
    expect(err).toMatch(/answered 503 \("loading"\); gave up after 600 s\. Run the import again/);
    expect(out).toBe('');
  });

  const refusals: [status: number, text: RegExp][] = [
    [401, /answered 401: the service token is wrong; give the one of the server/],
    [404, /answered 404: the import API is off, or this is another server/],
    [413, /answered 413: a batch of 1 MiB is too large; raise import\.body_bytes_max/],
    [302, /answered 302: this is a redirect/],
    [500, /answered 500: the import cannot go on/],
    [200, /is not mutual-rooms: its answer is something else/],
  ];
  it.each(refusals)('says what %d means, at once', async (status, text) => {
    stub.queued.push(answering(status, status === 302 ? { location: '/' } : {}, 'no JSON'));
    const { code, err, terminal } = await importIt([write('a', line(1)), '--url', stub.url]);
    expect(err).toMatch(text);
    expect(err.match(/\n/g)).toHaveLength(1);
    expect(code).toBe(1);
    expect(terminal.waitsMs).toEqual([]);
  });

  it('waits half a minute for a server, and says so', async () => {
    const { url } = stub;
    await stub.close();
    const { code, out, err, terminal } = await importIt([write('a', line(1)), '--url', url]);
    expect(code).toBe(1);
    const [waits, gaveUp] = err.split('\n');
    expect(waits).toBe(`no server answers at ${url} (ECONNREFUSED): trying again for up to 30 s`);
    expect(gaveUp).toMatch(/no server answers at \S+ \(ECONNREFUSED\), for 30 s: start the server with "mut/);
    expect(out).toBe('');
    expect(terminal.waitsMs.length).toBeGreaterThan(5);
  });

  it('fails where no line was accepted, by us or by the server', async () => {
    for (const text of [`${'x'.repeat(20_000)}\n`, `${line('bad')}\n`.repeat(7)]) {
      const { code, out, err } = await importIt([write('a', text), '--url', stub.url]);
      expect(out).toMatch(/^applied 0, ignored 0, rejected [17] in /);
      expect(err).toMatch(/mutual-rooms: \S+: no line was accepted; /);
      expect(code).toBe(1);
    }
  });

  it('says what is wrong with the input', async () => {
    const cut = gzipSync(Array.from({ length: 5000 }, (_, user) => line(user * 7919)).join('\n')).subarray(
      0,
      -9,
    );
    const faults: [file: string, code: number, text: RegExp][] = [
      [join(folder, 'nowhere'), 2, /nowhere: there is no such file/],
      [folder, 2, /: this is a folder/],
      [write('no.gz', line(1)), 1, /no\.gz: it is named \.gz, but is not gzip/],
      [write('cut.gz', cut), 1, /cut\.gz: the gzip data is cut short/],
    ];
    for (const [file, code, text] of faults) {
      const outcome = await importIt([file, '--url', stub.url]);
      expect(outcome.err).toMatch(text);
      expect(outcome.code).toBe(code);
    }
  });

  it('needs a token, a port and a URL that is one', async () => {
    const file = write('a', line(1));
    expect((await importIt([file], { token: '' })).err).toMatch(
      /there is no service token: give service_token/,
    );
    const config = write('any.yaml', 'listen: { port: 0 }');
    expect((await importIt([file, '--config', config])).err).toMatch(/say which with --url/);
    const { code, err } = await importIt([file, '--url', 'localhost:8090']);
    expect(err).toMatch(/--url must be an http or https URL/);
    expect(code).toBe(2);
  });
});
