/**
 * Does a flood of access tokens that nobody has leave the memory as it was? A server in a process of its own, beside a homeserver
 * that knows one token, and clients that make up a new one for each request.
 */
import { readFileSync } from 'node:fs';
import type { ChildProcess } from 'node:child_process';
import { Pool } from 'undici';
import { expect, onTestFinished, test } from 'vitest';
import { HomeserverStub } from '../http/homeserver-stub.js';
import { openServe } from './serve-process.js';

const path = '/_matrix/client/v1/mutual_rooms?user_id=@bob:hs.example';

function memoryMiB(child: ChildProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmRSS:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

test('after the first ten thousand, which are remembered, memory stays; who has a token is answered', async () => {
  const stub = await HomeserverStub.start();
  onTestFinished(async () => stub.close());
  stub.knows('alice-token', '@alice:hs.example');
  const { url, child } = await openServe(
    `listen: { host: 127.0.0.1, port: 0 }\nhomeserver: { url: "${stub.url}" }\nrate_limit: null\n`,
  );
  const pool = new Pool(url, { connections: 64 });
  onTestFinished(async () => pool.close());
  const ask = async (token: string): Promise<number> => {
    const headers = { authorization: `Bearer ${token}` };
    const { statusCode, body } = await pool.request({ path, method: 'GET', headers });
    await body.dump();
    return statusCode;
  };
  let made = 0;
  const flood = async (count: number): Promise<number> => {
    const end = made + count;
    const askAll = async (): Promise<void> => {
      while (made < end) expect(await ask(`made-up-${(made += 1)}-${'x'.repeat(200)}`)).toBe(401);
    };
    await Promise.all(Array.from({ length: 64 }, askAll));
    // The stub remembers what it saw.
    stub.seen.length = 0;
    expect(await ask('alice-token')).toBe(200);
    return memoryMiB(child);
  };
  await flood(15_000);
  const before = await flood(5_000);
  const after = await flood(20_000);
  expect(after - before).toBeLessThan(60);
});
