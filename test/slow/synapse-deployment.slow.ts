/**
 * Does it work the way operators deploy it? A reverse proxy with the configuration that src/deployment offers routes the paths
 * of mutual rooms to the sidecar and the rest to Synapse, and Synapse answers when the sidecar does not. Clients here know the
 * address of the proxy only.
 */
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { createServer } from 'node:http';
import { fileURLToPath } from 'node:url';
import {
  afterAll,
  afterEach,
  beforeAll,
  beforeEach,
  describe,
  expect,
  onTestFinished,
  test,
  vi,
} from 'vitest';
import { findProgram } from '../servers/find-program.js';
import { ReverseProxy } from '../servers/reverse-proxy.js';
import { whatIsMissing } from '../synapse/installed-synapse.js';
import { login, register, type MatrixClient, type MutualRoomsPage } from '../synapse/matrix-client.js';
import { Sidecar } from '../synapse/sidecar.js';
import { TestHomeserver } from '../synapse/test-homeserver.js';

const proxies = [
  { name: 'nginx', file: '../../src/deployment/nginx.conf' },
  { name: 'caddy', file: '../../src/deployment/Caddyfile' },
] as const;

/** In both files. */
const addresses = { proxy: '127.0.0.1:8080', sidecar: '127.0.0.1:8090', synapse: '127.0.0.1:8008' };

const waiting = { timeout: 20_000, interval: 50 };

/** More than two pages. */
const fillerRooms = 230;

/** The localpart has what a path must not take for its own. */
const otherName = 'with/slash';

/** Only the sidecar has it. */
const ourFlag = 'uk.half-shot.msc2666';

const missing = whatIsMissing();

describe.skipIf(missing !== undefined)(`behind a reverse proxy ${missing ?? ''}`, () => {
  let homeserver: TestHomeserver;
  let sidecar: Sidecar;
  let otherId: string;

  beforeAll(async () => {
    homeserver = await TestHomeserver.open();
    const { synapse } = homeserver;
    otherId = `@${otherName}:${synapse.serverName}`;
    await homeserver.fill('filler', fillerRooms, [`@alice:${synapse.serverName}`, otherId]);
    await register(synapse, 'alice');
    await register(synapse, otherName);
    sidecar = await Sidecar.open(homeserver);
  });

  afterAll(async () => {
    await (sidecar as Sidecar | undefined)?.close();
    await (homeserver as TestHomeserver | undefined)?.close();
  });

  describe.each(proxies)('$name', ({ name, file }) => {
    const isInstalled = findProgram(name, ['/usr/sbin']) !== undefined;
    let proxy: ReverseProxy;
    let alice: MatrixClient;

    beforeEach(async (context) => {
      if (!isInstalled) context.skip(`no ${name}: apt-get install ${name}`);
      proxy = await ReverseProxy.open(
        name,
        fileURLToPath(new URL(file, import.meta.url)),
        addresses.proxy,
        new Map([
          [addresses.sidecar, new URL(sidecar.url).host],
          [addresses.synapse, new URL(homeserver.synapse.url).host],
        ]),
      );
      alice = await login(proxy.url, 'alice');
    });

    afterEach(async ({ task }) => {
      if (task.result?.state === 'fail') console.log((proxy as ReverseProxy | undefined)?.lastWords());
      await (proxy as ReverseProxy | undefined)?.close();
    });

    async function answeredByUs(): Promise<boolean> {
      const { unstable_features: features } = await alice.call<{
        unstable_features: Record<string, boolean>;
      }>('GET', '/_matrix/client/versions');
      return ourFlag in features;
    }

    test('every spelling reaches the sidecar, and the rest of the API reaches Synapse', async () => {
      expect(await answeredByUs()).toBe(true);
      const roomId = await alice.createRoom();
      const other = await login(proxy.url, otherName);
      await other.join(roomId);
      const sync = await alice.call<{ rooms: { join: Record<string, unknown> } }>(
        'GET',
        '/_matrix/client/v3/sync?timeout=0',
      );
      expect(Object.keys(sync.rooms.join)).toContain(roomId);
      await vi.waitFor(
        async () => expect((await alice.mutualRooms(otherId)).rooms).toContain(roomId),
        waiting,
      );
      const { rooms, count } = await alice.mutualRooms(otherId);
      expect([rooms.length, count]).toEqual([count, new Set(rooms).size]);
      expect(count).toBeGreaterThan(fillerRooms);

      const query = `?user_id=${encodeURIComponent(otherId)}`;
      const unstable = '/_matrix/client/unstable/uk.half-shot.msc2666/user';
      const inPath = encodeURIComponent(otherId);
      for (const path of [
        `/_matrix/client/v1/mutual_rooms${query}`,
        `/_matrix/client/unstable/mutual_rooms${query}`,
        `${unstable}/mutual_rooms${query}`,
        `${unstable}/mutual_rooms/${inPath}`,
        `${unstable}/shared_rooms/${inPath}`,
      ]) {
        const page = await alice.call<MutualRoomsPage>('GET', path);
        expect([path, page.count]).toEqual([path, count]);
      }
      // What is between operator and sidecar is not for the public.
      for (const path of ['/metrics', '/ready', '/_mutual_rooms/v1/memberships'])
        await expect(alice.call('GET', path)).rejects.toMatchObject({ status: 404 });
    });

    test('connections to the sidecar are kept', async () => {
      await alice.mutualRoomsPage(otherId);
      const before = connectionsTo(new URL(sidecar.url).port);
      for (let call = 0; call < 20; call++) await alice.mutualRoomsPage(otherId);
      const more = connectionsTo(new URL(sidecar.url).port).filter((port) => !before.includes(port));
      expect(more.length).toBeLessThanOrEqual(1);
    });

    test('Synapse answers while the sidecar is down, and neither takes a page token of the other', async () => {
      const { rooms } = await alice.mutualRooms(otherId);
      const ours = (await alice.mutualRoomsPage(otherId)).next_batch;
      await sidecar.stop();
      let theirs: string | undefined;
      try {
        expect(await alice.mutualRooms(otherId)).toEqual({ rooms, count: rooms.length });
        expect(await answeredByUs()).toBe(false);
        theirs = (await alice.mutualRoomsPage(otherId)).next_batch;
        await expect(alice.mutualRoomsPage(otherId, ours)).rejects.toMatchObject({
          status: 400,
          errcode: 'M_INVALID_PARAM',
        });
      } finally {
        await sidecar.start();
      }
      await vi.waitFor(async () => expect(await answeredByUs()).toBe(true), waiting);
      await expect(alice.mutualRoomsPage(otherId, theirs)).rejects.toMatchObject({
        status: 400,
        errcode: 'M_INVALID_PARAM',
      });
      expect(await alice.mutualRooms(otherId)).toEqual({ rooms, count: rooms.length });
    });

    test('Synapse answers while the sidecar says that it is not ready', async () => {
      const { rooms } = await alice.mutualRooms(otherId);
      await sidecar.stop();
      let refused = 0;
      const loading = createServer((_, response) => {
        refused += 1;
        response.writeHead(503, { 'retry-after': '1' }).end('{"errcode":"M_UNKNOWN","error":"loading"}');
      });
      onTestFinished(async () => {
        loading.closeAllConnections();
        loading.close();
        await sidecar.start();
      });
      loading.listen(Number(new URL(sidecar.url).port), '127.0.0.1');
      await once(loading, 'listening');
      expect(await alice.mutualRooms(otherId)).toEqual({ rooms, count: rooms.length });
      expect(refused).toBeGreaterThan(0);
    });
  });
});

/** The other ends of the connections to a port of this machine, also of those that were closed a moment ago. */
function connectionsTo(port: string): string[] {
  const wanted = Number(port).toString(16).toUpperCase().padStart(4, '0');
  const lines = readFileSync('/proc/net/tcp', 'utf8').split('\n');
  return lines.flatMap((line) => {
    const [, local, remote] = line.trim().split(/\s+/);
    return remote?.endsWith(`:${wanted}`) ? [local] : [];
  });
}
