/**
 * What becomes of two containers that share a volume, in which both have a process of the same number? LMDB tells readers apart
 * by it. Real PID namespaces, which need root on Linux.
 */
import { spawn, spawnSync, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, readFileSync, readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { openFolder, postMemberships, until, verified } from './serve-process.js';

const cli = new URL('../../dist/cli.js', import.meta.url).pathname;
const container = ['-pf', '--kill-child', '--mount-proc'];
const canUnshare = spawnSync('unshare', [...container, 'true']).status === 0;
if (!canUnshare)
  console.warn('skipped: processes of the same number, because this user cannot make PID namespaces');

interface Contained {
  readonly child: ChildProcess;
  readonly output: () => string;
}

/** The command is process 1 there. */
function contained(...args: string[]): Contained {
  const child = spawn('unshare', [...container, process.execPath, cli, ...args]);
  onTestFinished(() => void child.kill('SIGKILL'));
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  child.stderr.on('data', (chunk) => (text += String(chunk)));
  return { child, output: () => text };
}

/** Of process 1 in there, out here. */
function insidePid({ pid }: ChildProcess): number {
  return Number(readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').trim());
}

async function ended({ child, output }: Contained): Promise<[number | null, string]> {
  if (child.exitCode === null) await once(child, 'close');
  return [child.exitCode, output()];
}

async function serveContained(dataDir: string) {
  const config = join(await openFolder(), 'config.yaml');
  await writeFile(
    config,
    `listen: { port: 0 }\ndata_dir: ${dataDir}\nshards: 1\nservice_token: secret\n` +
      'auth: { static_tokens: { a: "@alice:x" } }\n',
  );
  return contained('serve', '--config', config);
}

const urlOf = (server: Contained): Promise<string> =>
  until(() => {
    if (server.child.exitCode !== null) throw new Error(`serve ended: ${server.output()}`);
    return /listens on (http:[^ ]+)/.exec(server.output())?.[1];
  });

const refusal =
  /^(mutual-rooms: |\{"level":60,.*"msg":").*index\.mdb is open in another container, by a process with the number .* \(1\).*docker exec/m;

test.runIf(canUnshare)(
  'commands beside a server are refused, say why, and leave nothing behind',
  async () => {
    const folder = await openFolder();
    const dataDir = join(folder, 'data');
    const server = await serveContained(dataDir);
    const url = await urlOf(server);
    const records = [{ user_id: '@a:x', room_id: '!r:x', membership: 'join' }];
    expect((await postMemberships({ url }, records)).status).toBe(200);
    const at = ['--data-dir', dataDir];
    for (const command of [
      ['export', join(folder, 'out.ndjson')],
      ['export'],
      ['backup', join(folder, 'copy')],
      ['compact'],
    ])
      expect(await ended(contained(...command, ...at))).toEqual([1, expect.stringMatching(refusal)]);
    expect(existsSync(join(folder, 'out.ndjson'))).toBe(false);
    expect(readdirSync(join(folder, 'copy'))).toEqual([]);
    // It reads in a process of its own, which has another number.
    expect((await ended(contained('verify', ...at)))[0]).toBe(0);
    expect((await postMemberships({ url }, records)).status).toBe(200);
    // As in the container of the server, where numbers differ.
    await verified(dataDir);

    // A second server is refused as well, and takes nothing from the first.
    expect(await ended(await serveContained(dataDir))).toEqual([1, expect.stringMatching(refusal)]);
    expect((await postMemberships({ url }, records)).status).toBe(200);
  },
);

test.runIf(canUnshare)(
  'a server beside an export is refused; once that has ended, by a signal, it starts',
  async () => {
    const dataDir = join(await openFolder(), 'data');
    const first = await serveContained(dataDir);
    const records = Array.from({ length: 30_000 }, (_, index) => ({
      user_id: `@user${index % 100}:x`,
      room_id: `!room${index}:x`,
      membership: 'join',
    }));
    expect((await postMemberships({ url: await urlOf(first) }, records)).status).toBe(200);
    process.kill(insidePid(first.child), 'SIGTERM');
    expect((await ended(first))[0]).toBe(0);

    const reader = spawn('unshare', [...container, process.execPath, cli, 'export', '--data-dir', dataDir]);
    onTestFinished(() => void reader.kill('SIGKILL'));
    await once(reader.stdout, 'readable');
    expect(await ended(await serveContained(dataDir))).toEqual([1, expect.stringMatching(refusal)]);
    // The first process of a container has no default for it.
    process.kill(insidePid(reader), 'SIGTERM');
    reader.stdout.resume();
    await once(reader, 'close');
    expect(reader.exitCode).toBe(143);
    await urlOf(await serveContained(dataDir));
  },
);
