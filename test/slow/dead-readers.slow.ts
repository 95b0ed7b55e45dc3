/**
 * Does the file of a store stay as small when those who read it end without a word? LMDB uses no page again that a reader may
 * still see, and a process that was killed cannot say that it sees none any more.
 */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openFolder, openServe, postMemberships, until, type ServeProcess } from './serve-process.js';

const cli = new URL('../../dist/cli.js', import.meta.url).pathname;

/** Each single change writes some 20 kB of pages, which the next ones use again. */
const changes = 300;
const growthMax = 2 ** 20;

async function change(server: ServeProcess, from: number, count: number): Promise<void> {
  for (let index = from; index < from + count; index += 1) {
    const response = await postMemberships(server, [
      { user_id: `@single${index}:x`, room_id: '!r:x', membership: 'join' },
    ]);
    expect(response.status).toBe(200);
  }
}

async function fullServe(dataDir: string): Promise<ServeProcess> {
  const server = await openServe(
    `listen: { port: 0 }\ndata_dir: ${dataDir}\nshards: 0\nservice_token: secret\nrate_limit: null\n` +
      'auth: { static_tokens: { a: "@alice:x" } }\n',
  );
  for (let user = 0; user < 3; user += 1) {
    const records = Array.from({ length: 20_000 }, (_, room) => ({
      user_id: `@user${user}.${room % 1_000}:x`,
      room_id: `!room${room}:x`,
      membership: 'join',
    }));
    expect((await postMemberships(server, records)).status).toBe(200);
  }
  await change(server, 0, 50);
  return server;
}

/** An export that has begun, and waits for somebody to read on. */
async function waitingExport(dataDir: string) {
  const child = spawn(process.execPath, [cli, 'export', '--data-dir', dataDir], {
    stdio: ['ignore', 'pipe', 'inherit'],
  });
  await once(child.stdout, 'readable');
  return child;
}

test('killed exports, and one into "head"', async () => {
  const dataDir = join(await openFolder(), 'data');
  const server = await fullServe(dataDir);
  const sizeBefore = statSync(join(dataDir, 'index.mdb')).size;
  for (const signal of ['SIGKILL', 'SIGTERM', 'SIGINT'] as const) {
    const child = await waitingExport(dataDir);
    child.kill(signal);
    await once(child, 'exit');
  }
  const head = spawn('sh', [
    '-c',
    '"$0" "$1" export --data-dir "$2" | head -1',
    process.execPath,
    cli,
    dataDir,
  ]);
  await once(head, 'exit');
  await change(server, 1_000, changes);
  expect(statSync(join(dataDir, 'index.mdb')).size - sizeBefore).toBeLessThan(growthMax);
});

test('one that lives and waits sees what it began with, whatever is changed meanwhile', async () => {
  const dataDir = join(await openFolder(), 'data');
  const server = await fullServe(dataDir);
  const child = await waitingExport(dataDir);
  const locksOf = (): string => readFileSync('/proc/locks', 'utf8');
  expect(locksOf(), 'LMDB knows by a lock that it lives').toContain(` ${child.pid} `);
  await change(server, 1_000, changes);
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  await until(() => (child.exitCode !== null && child.stdout.closed ? true : undefined));
  expect(child.exitCode).toBe(0);
  expect(text.trimEnd().split('\n')).toHaveLength(60_050);
  expect(text).not.toContain('@single1000');
});
