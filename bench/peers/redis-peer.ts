/**
 * Redis: a set of room IDs for each user, and SINTER. Nothing is saved to disk.
 *
 * SINTER has neither a limit nor an order. So all common rooms come across the socket for every page, where they are counted,
 * sorted and cut; SINTERCARD beside it would only do the same work once more, and so it is asked for yes and no alone.
 *
 * The client is @redis/client, the core of `redis` (node-redis), which the Redis project recommends over ioredis. It writes
 * all commands of a turn at once, so questions in flight together are pipelined.
 */
import { createClient } from '@redis/client';
import { join } from 'node:path';
import { findProgram, NotInstalled } from '../../test/servers/find-program.js';
import { TemporaryServer } from '../../test/servers/temporary-server.js';
import { pageSize, type Answer, type Member, type NamedPair, type ServerPeer } from './peer.js';

const versionMin = 7;

/** @throws NotInstalled */
export async function openRedis(): Promise<ServerPeer> {
  const program = findProgram('redis-server');
  if (program === undefined) throw new NotInstalled('no redis-server: apt-get install redis-server');
  const server = new TemporaryServer('redis', 'SIGKILL');
  try {
    const socket = join(server.folder, 'socket');
    const client = await server.start(
      program,
      [
        ['--port', '0'],
        ['--unixsocket', socket],
        ['--save', ''],
        ['--appendonly', 'no'],
        ['--dir', server.folder],
      ].flat(),
      () => connected(socket),
    );
    const version = await figureOf(client, 'server', 'redis_version');
    if (Number.parseInt(version) < versionMin)
      throw new NotInstalled(`redis-server is ${version}, and SINTERCARD needs ${versionMin}`);
    return new RedisPeer(server, client, await usedBytes(client));
  } catch (error) {
    await server.stop();
    throw error;
  }
}

type Client = Awaited<ReturnType<typeof connected>>;

async function connected(path: string) {
  const client = createClient({ socket: { path, tls: false, reconnectStrategy: false } });
  // Without a listener, losing the server would end this process; every command says so as well.
  client.on('error', () => {});
  return client.connect();
}

async function usedBytes(client: Client): Promise<number> {
  return Number(await figureOf(client, 'memory', 'used_memory'));
}

async function figureOf(client: Client, section: string, name: string): Promise<string> {
  const figure = new RegExp(`^${name}:(.*)$`, 'm').exec(await client.info(section))?.[1];
  if (figure === undefined) throw new Error(`Redis does not tell its ${name}`);
  return figure.trim();
}

class RedisPeer implements ServerPeer {
  readonly name = 'Redis';
  readonly where = 'unix socket';
  readonly bytesAre = "growth of Redis' used_memory";
  readonly #server: TemporaryServer;
  readonly #client: Client;
  readonly #bytesEmpty: number;

  constructor(server: TemporaryServer, client: Client, bytesEmpty: number) {
    this.#server = server;
    this.#client = client;
    this.#bytesEmpty = bytesEmpty;
  }

  async add(members: readonly Member[]): Promise<void> {
    const withRooms = members.filter(({ roomIds }) => roomIds.length > 0);
    await Promise.all(withRooms.map(({ userId, roomIds }) => this.#client.sAdd(userId, [...roomIds])));
  }

  async firstPage(pair: NamedPair): Promise<Answer> {
    const rooms = await this.allRooms(pair);
    return { count: rooms.length, page: JSON.stringify(rooms.sort().slice(0, pageSize)) };
  }

  async shares({ userIds }: NamedPair): Promise<boolean> {
    return (await this.#client.sInterCard([...userIds], { LIMIT: 1 })) > 0;
  }

  allRooms({ userIds }: NamedPair): Promise<string[]> {
    return this.#client.sInter([...userIds]);
  }

  async bytes(): Promise<number> {
    return (await usedBytes(this.#client)) - this.#bytesEmpty;
  }

  async close(): Promise<void> {
    // Throws when the connection is gone already.
    if (this.#client.isOpen) this.#client.destroy();
    await this.#server.stop();
  }
}
