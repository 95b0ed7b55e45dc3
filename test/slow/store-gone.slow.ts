/** Does a server whose folder is removed or moved under it refuse changes, rather than write them to a file that nobody finds? */
import { rename, rm } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { openFolder, openServe, postMemberships, type ServeProcess } from './serve-process.js';

const serveIn = (dataDir: string): Promise<ServeProcess> =>
  openServe(
    `listen: { port: 0 }\ndata_dir: ${dataDir}\nshards: 1\nservice_token: secret\n` +
      'auth: { static_tokens: { a: "@alice:x" } }\n',
  );

const post = (server: ServeProcess, user: string): Promise<Response> =>
  postMemberships(server, [{ user_id: user, room_id: '!r:x', membership: 'join' }]);

const ready = (server: ServeProcess): Promise<Response> => fetch(`${server.url}/ready`);

test('moved away: 503 and not ready, and loudly; put back: as before', async () => {
  const folder = await openFolder();
  const dataDir = join(folder, 'data');
  const server = await serveIn(dataDir);
  expect((await post(server, '@a:x')).status).toBe(200);
  await rename(dataDir, join(folder, 'elsewhere'));
  const refused = await post(server, '@lost:x');
  expect([refused.status, await refused.text()]).toEqual([
    503,
    expect.stringContaining('any more (removed, moved'),
  ]);
  const unready = await ready(server);
  expect([unready.status, await unready.text()]).toEqual([
    503,
    expect.stringContaining('any more (removed, moved'),
  ]);
  expect(server.output()).toContain('the store takes no changes');
  await rename(join(folder, 'elsewhere'), dataDir);
  expect((await post(server, '@b:x')).status).toBe(200);
  expect((await ready(server)).status).toBe(200);
});

test('removed, and a second server in its place: only that one takes changes', async () => {
  const dataDir = join(await openFolder(), 'data');
  const first = await serveIn(dataDir);
  expect((await post(first, '@a:x')).status).toBe(200);
  await rm(dataDir, { recursive: true });
  expect((await post(first, '@lost:x')).status).toBe(503);
  const second = await serveIn(dataDir);
  expect((await post(second, '@b:x')).status).toBe(200);
  expect((await post(first, '@lost:x')).status).toBe(503);
  expect((await ready(first)).status).toBe(503);
  expect((await ready(second)).status).toBe(200);
});
