/** Does a command outlive the readers of its output? Real processes, whose pipes are closed under them. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { closeSync, openSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { freePort } from '../servers/free-port.js';
import { openFolder, openServe, postMemberships, until } from './serve-process.js';

const cli = new URL('../../dist/cli.js', import.meta.url).pathname;

const joined = (user: number) => ({ user_id: `@${user}:x`, room_id: '!room:x', membership: 'join' });

async function configFile(port: number): Promise<{ file: string; url: string; dataDir: string }> {
  const folder = await openFolder();
  const file = join(folder, 'config.yaml');
  const tokens = 'auth: { static_tokens: { t: "@a:b" } }\nservice_token: secret\nshards: 0';
  await writeFile(file, `listen: { port: ${port} }\n${tokens}\n`, { mode: 0o600 });
  return { file, url: `http://127.0.0.1:${port}`, dataDir: join(folder, 'data') };
}

async function isReady(url: string): Promise<true | undefined> {
  const response = await fetch(`${url}/ready`).catch(() => undefined);
  return response?.status === 200 ? true : undefined;
}

test('a server whose log has no reader any more goes on, and ends in order', async () => {
  const { child, url } = await openServe(
    'listen: { port: 0 }\ndata_dir: null\nservice_token: secret\nauth: { static_tokens: { t: "@a:b" } }\nlog_level: trace',
  );
  child.stderr?.destroy();
  child.stdout?.destroy();
  for (let user = 0; user < 3; user++)
    expect((await postMemberships({ url }, [joined(user)])).status).toBe(200);
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('a server serves whose stdout has no reader from the start, and whose log has no space', async () => {
  const { file, url } = await configFile(await freePort());
  const full = openSync('/dev/full', 'w');
  const child = spawn(process.execPath, [cli, 'serve', '--config', file], {
    stdio: ['ignore', 'pipe', full],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  closeSync(full);
  child.stdout?.destroy();
  await until(async () => {
    expect(child.exitCode).toBeNull();
    return isReady(url);
  });
  expect((await postMemberships({ url }, [joined(1)])).status).toBe(200);
  child.kill('SIGTERM');
  expect(await once(child, 'exit')).toEqual([0, null]);
});

test('an export whose reader has enough ends quietly; one that cannot be written says so', async () => {
  const { file, url, dataDir } = await configFile(await freePort());
  const server = spawn(process.execPath, [cli, 'serve', '--config', file], { stdio: 'ignore' });
  onTestFinished(() => void server.kill('SIGKILL'));
  await until(() => isReady(url));
  // More than a pipe holds.
  await postMemberships(
    { url },
    Array.from({ length: 50_000 }, (_, user) => joined(user)),
  );

  const head = spawn(process.execPath, [cli, 'export', '--data-dir', dataDir], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let said = '';
  head.stderr.on('data', (chunk) => (said += String(chunk)));
  head.stdout.once('data', () => head.stdout.destroy());
  expect(await once(head, 'close')).toEqual([0, null]);
  expect(said).toBe('');

  const full = openSync('/dev/full', 'w');
  const lost = spawn(process.execPath, [cli, 'verify', '--data-dir', dataDir], {
    stdio: ['ignore', full, 'pipe'],
  });
  closeSync(full);
  lost.stderr?.on('data', (chunk) => (said += String(chunk)));
  expect(await once(lost, 'close')).toEqual([1, null]);
  expect(said).toMatch(/^mutual-rooms: stdout could not be written: ENOSPC/);
});
