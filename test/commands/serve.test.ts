import { execFile } from 'node:child_process';
import { createServer, type AddressInfo } from 'node:net';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { describe, expect, it } from 'vitest';
import { run } from '../../src/commands/program.js';
import { fakeTerminal } from './fake-terminal.js';

const cli = fileURLToPath(new URL('../../dist/cli.js', import.meta.url));
const env = {
  MUTUAL_ROOMS_AUTH_STATIC_TOKENS: '{"t":"@a:b"}',
  MUTUAL_ROOMS_SHARDS: '0',
  MUTUAL_ROOMS_DATA_DIR: 'null',
  MUTUAL_ROOMS_LOG_LEVEL: 'warn',
};

async function takePort(): Promise<{ port: number; free: () => void }> {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  return { port: (taken.address() as AddressInfo).port, free: () => taken.close() };
}

describe('serve', () => {
  it('says where it listens, serves, and ends at a signal', async () => {
    const listening = withResolvers<string>();
    const terminal = fakeTerminal({ ...env, MUTUAL_ROOMS_LISTEN_PORT: '0' }, [], listening.resolve);
    const ended = run(['serve'], terminal);
    const line = await Promise.race([listening.promise, ended.then(() => terminal.written.err)]);
    const url = /^mutual-rooms listens on (http:\/\/127\.0\.0\.1:\d+) \(inline, memory only\)\n$/.exec(
      line,
    )?.[1];
    expect(url, line).toBeDefined();
    expect((await fetch(`${url}/health`)).status).toBe(200);
    terminal.stop();
    expect(await ended).toBe(0);
    await expect(fetch(`${url}/health`)).rejects.toThrow();
  });

  it('says in one line that the port is in use, in the form of the log', async () => {
    const { port, free } = await takePort();
    const taken = `cannot listen on 127.0.0.1:${port}: the port is in use; stop what listens there, or choose another port (0 is any free one)`;
    const serveAt = async (format: string, level = 'warn'): Promise<string> => {
      const variables = { MUTUAL_ROOMS_LISTEN_PORT: String(port), MUTUAL_ROOMS_LOG_FORMAT: format };
      const terminal = fakeTerminal({ ...env, ...variables, MUTUAL_ROOMS_LOG_LEVEL: level });
      expect(await run(['serve'], terminal)).toBe(1);
      return terminal.written.err;
    };
    expect(JSON.parse(await serveAt('auto'))).toMatchObject({ level: 60, msg: taken });
    expect(await serveAt('text')).toMatch(/^\[\d\d:\d\d:\d\d\.\d+\] FATAL: cannot listen on .*\n$/);
    expect(await serveAt('json', 'silent')).toBe(`mutual-rooms: ${taken}\n`);
    free();
  });

  it('logs text where a person watches', async () => {
    const listening = withResolvers<string>();
    const variables = { MUTUAL_ROOMS_LISTEN_PORT: '0', MUTUAL_ROOMS_LOG_LEVEL: 'info' };
    const terminal = { ...fakeTerminal({ ...env, ...variables }, [], listening.resolve), watched: true };
    const ended = run(['serve'], terminal);
    await listening.promise;
    terminal.stop();
    await ended;
    for (const line of terminal.written.err.trim().split('\n')) expect(line).toMatch(/^\[[\d:.]+\] INFO: /);
  });
});

describe('demo', () => {
  it('prints requests that work when pasted', async () => {
    const args = ['demo', '--port', '0', '--users', '2000', '--rooms', '600', '--seed', '3'];
    const demo = spawnDemo(args);
    try {
      const curls = (await demo.greeting).split('\n').filter((line) => line.startsWith('  curl '));
      expect(curls).toHaveLength(3);
      const answers = [];
      for (const curl of [...curls, curls[1]]) answers.push(JSON.parse(await paste(curl)));
      const [friends, stranger, change, joined] = answers;
      expect(friends.joined.length).toBeLessThan(friends.count);
      expect(friends.next_batch).toEqual(expect.any(String));
      expect(stranger).toEqual({ joined: [], count: 0 });
      expect(change).toMatchObject({ applied: 1, rejected_count: 0 });
      expect(joined.count).toBe(1);
    } finally {
      demo.stop();
    }
    expect(await demo.exitCode).toBe(0);
  });
});

/** The real binary, because the demo runs worker threads, which are compiled code. */
function spawnDemo(args: string[]) {
  const greeting = withResolvers<string>();
  const exitCode = withResolvers<number | null>();
  const child = execFile(process.execPath, [cli, ...args]);
  let text = '';
  child.stdout?.on('data', (piece: string) => {
    text += piece;
    if (text.includes('Ctrl-C')) greeting.resolve(text);
  });
  child.on('exit', (code) => {
    exitCode.resolve(code);
    greeting.reject(new Error(`the demo ended: ${text}`));
  });
  return { greeting: greeting.promise, exitCode: exitCode.promise, stop: () => child.kill('SIGTERM') };
}

/** Promise.withResolvers, which Node 20 lacks. */
function withResolvers<Value>() {
  let resolve!: (value: Value) => void;
  let reject!: (error: Error) => void;
  const promise = new Promise<Value>((onValue, onError) => {
    resolve = onValue;
    reject = onError;
  });
  return { promise, resolve, reject };
}

async function paste(line: string): Promise<string> {
  return (await promisify(execFile)('sh', ['-c', line])).stdout;
}
