/** Does a real file go through the real commands, with bounded memory, and come out as the right answers? */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { createWriteStream, readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { expect, onTestFinished, test } from 'vitest';
import { makeCommunity } from '../../src/source/community.js';
import { NaiveIndex } from '../model/naive-index.js';

const cli = new URL('../../dist/cli.js', import.meta.url).pathname;

function run(...args: string[]): { child: ChildProcess; output: () => string } {
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  let text = '';
  child.stdout.on('data', (chunk) => (text += String(chunk)));
  child.stderr.on('data', (chunk) => (text += String(chunk)));
  return { child, output: () => text };
}

/** Peak memory of a live process in MiB. */
function peakMiB(child: ChildProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

async function until<Value>(what: () => Value | undefined | null): Promise<Value> {
  for (;;) {
    const value = what();
    if (value !== undefined && value !== null) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

test.runIf(process.platform === 'linux')(
  'half a million memberships, from a .gz to the last page',
  async () => {
    const folder = await mkdtemp(join(tmpdir(), 'mutual-rooms-'));
    onTestFinished(async () => rm(folder, { recursive: true }));
    const config = join(folder, 'config.yaml');
    await writeFile(
      config,
      'listen: { port: 0 }\ndata_dir: null\nshards: 2\nservice_token: secret\nrate_limit: null\n' +
        'auth: { static_tokens: { a: "@alice:example.org" } }\n',
    );
    const community = makeCommunity({ users: 60_000, rooms: 10_000, seed: 11 });
    const oracle = new NaiveIndex();
    let lines = 0;
    function* text(): Generator<string> {
      for (const batch of community.changes()) {
        for (const { userId, roomId, joined } of batch) {
          lines += 1;
          if (joined) oracle.join(userId, roomId);
          const membership = joined ? 'join' : 'leave';
          yield `${JSON.stringify({ user_id: userId, room_id: roomId, membership })}\n`;
        }
      }
      yield 'this is no membership\n';
    }
    const file = join(folder, 'memberships.ndjson.gz');
    await pipeline(Readable.from(text()), createGzip({ level: 1 }), createWriteStream(file));
    expect(lines).toBeGreaterThan(300_000);

    const server = run('serve', '--config', config);
    onTestFinished(() => void server.child.kill('SIGKILL'));
    const url = await until(() => /listens on (http:\S+)/.exec(server.output())?.[1]);

    const client = run('import', file, '--config', config, '--url', url);
    let importerMiB = 0;
    const watch = setInterval(() => {
      if (client.child.exitCode === null) importerMiB = Math.max(importerMiB, peakMiB(client.child));
    }, 50);
    const [code] = (await once(client.child, 'exit')) as [number];
    clearInterval(watch);
    expect([code, client.output()]).toEqual([0, expect.stringContaining(`line ${lines + 1}`)]);
    // The file is many times larger than what either process may hold of it.
    expect(importerMiB).toBeLessThan(300);

    const rooms: string[] = [];
    let from = '';
    const others = community.friends.filter((userId) => userId !== '@alice:example.org');
    do {
      const query = new URLSearchParams({ user_id: others[0], from });
      const answer = await fetch(`${url}/_matrix/client/v1/mutual_rooms?${query}`, {
        headers: { authorization: 'Bearer a' },
      });
      const page = (await answer.json()) as { joined: string[]; count: number; next_batch?: string };
      rooms.push(...page.joined);
      from = page.next_batch ?? '';
    } while (from !== '');
    const truth = oracle.mutual(['@alice:example.org', others[0]]);
    expect(truth.length).toBeGreaterThan(0);
    expect(rooms.sort()).toEqual([...truth].sort());

    server.child.kill('SIGTERM');
    expect(await once(server.child, 'exit')).toEqual([0, null]);
  },
);
