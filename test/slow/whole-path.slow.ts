/** Does a real file go through the real commands, with bounded memory, and come out as the right answers? */
import { once } from 'node:events';
import { createWriteStream } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { expect, test } from 'vitest';
import { makeCommunity } from '../../src/source/demo/community.js';
import { NaiveIndex } from '../model/naive-index.js';
import { openFolder, peakMiB, runCommand, serveWith } from './serve-process.js';

test.runIf(process.platform === 'linux')(
  'half a million memberships, from a .gz to the last page',
  async () => {
    const folder = await openFolder();
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

    const server = await serveWith(config);
    const { url } = server;

    const client = runCommand('import', file, '--config', config, '--url', url);
    let importerMiB = 0;
    const watch = setInterval(() => {
      if (client.child.exitCode !== null) return;
      const now = peakMiB(client.child);
      // Not NaN: it may have ended before anybody told us.
      if (now > importerMiB) importerMiB = now;
    }, 50);
    const [code] = (await once(client.child, 'exit')) as [number];
    clearInterval(watch);
    expect([code, client.output()]).toEqual([0, expect.stringContaining(`line ${lines + 1}`)]);
    // The file is many times larger than what either process may hold of it.
    expect(importerMiB).toBeGreaterThan(0);
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
