/**
 * PostgreSQL: a table of user_id and room_id, as a homeserver has one, joined with itself by prepared statements. Its one index
 * has both columns, so that a question reads nothing else, and orders by bytes (locale C), as Synapse demands.
 *
 * As it comes, but: in a cluster of its own; fsync and full_page_writes are off, since nothing has to outlive the bench;
 * shared_buffers hold the whole table, so that no question waits for a disk; the table is loaded by COPY before it has its
 * index, then vacuumed and analysed, and not by a daemon as well. One connection, which is one process of the server.
 *
 * Commits stay synchronous. After asynchronous ones VACUUM leaves fresh pages unmarked, and an index-only scan of them
 * reads the table for every row.
 *
 * plan_cache_mode stays `auto`: PostgreSQL soon keeps one plan of a statement for all pairs, because planning takes longer
 * (0.15 ms) than most answers (0.03 ms). Planning every question anew halves its speed at this size.
 *
 * Questions in flight together are pipelined (`pipeline` of the client, pg).
 */
import { rm, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { Client } from 'pg';
import { findPostgresPrograms, postgresOwner } from '../../test/servers/postgres-programs.js';
import { TemporaryServer } from '../../test/servers/temporary-server.js';
import { pageSize, type Answer, type Member, type NamedPair, type ServerPeer } from './peer.js';

const settings = [
  // No TCP at all.
  'listen_addresses=',
  'fsync=off',
  'full_page_writes=off',
  'shared_buffers=3GB',
  'maintenance_work_mem=256MB',
  'autovacuum=off',
  'max_wal_size=4GB',
  // Containers often have no more than 64 MB for what parallel workers share.
  'dynamic_shared_memory_type=mmap',
];

const common =
  'FROM memberships AS mine JOIN memberships AS theirs USING (room_id) WHERE mine.user_id = $1 AND theirs.user_id = $2';

/** Named, so that the server parses each once. A count is a bigint, which pg would give as a string. */
const statements = {
  firstPage: `SELECT room_id, (count(*) OVER ())::int ${common} ORDER BY room_id LIMIT ${pageSize}`,
  shares: `SELECT EXISTS (SELECT ${common})`,
  allRooms: `SELECT room_id ${common}`,
} as const;

/** @throws NotInstalled */
export async function openPostgres(): Promise<ServerPeer> {
  const programs = findPostgresPrograms();
  const owner = postgresOwner();
  const server = new TemporaryServer('postgres', 'SIGQUIT', owner);
  try {
    const data = join(server.folder, 'data');
    await server.run(join(programs, 'initdb'), [
      ...['--pgdata', data, '--username', 'bench', '--auth', 'trust'],
      ...['--encoding', 'UTF8', '--locale', 'C', '--no-sync'],
    ]);
    const client = await server.start(
      join(programs, 'postgres'),
      ['-D', data, '-k', server.folder, ...settings.flatMap((setting) => ['-c', setting])],
      () => connected(server.folder),
    );
    await client.query('CREATE TABLE memberships (user_id text NOT NULL, room_id text NOT NULL)');
    return new PostgresPeer(server, client);
  } catch (error) {
    await server.stop();
    throw error;
  }
}

async function connected(host: string): Promise<Client> {
  const client = new Client({ host, user: 'bench', database: 'postgres', pipeline: true });
  // Without a listener, losing the server would end this process; every query says so as well.
  client.on('error', () => {});
  await client.connect();
  return client;
}

class PostgresPeer implements ServerPeer {
  readonly name = 'PostgreSQL';
  readonly where = 'unix socket';
  readonly bytesAre = 'table and index, on disk or cached';
  readonly #server: TemporaryServer;
  readonly #client: Client;

  constructor(server: TemporaryServer, client: Client) {
    this.#server = server;
    this.#client = client;
  }

  /** Through a file, which the server reads by itself: COPY from a client may not be pipelined. */
  async add(members: readonly Member[]): Promise<void> {
    const lines = members.flatMap(({ userId, roomIds }) => roomIds.map((roomId) => `${userId}\t${roomId}\n`));
    const path = join(this.#server.folder, 'batch');
    await writeFile(path, lines.join(''));
    await this.#client.query(`COPY memberships FROM '${path}'`);
    await rm(path);
  }

  async finish(): Promise<void> {
    await this.#client.query('ALTER TABLE memberships ADD PRIMARY KEY (user_id, room_id)');
    await this.#client.query('VACUUM (FREEZE, ANALYZE) memberships');
    await this.#client.query('CHECKPOINT');
  }

  async firstPage({ userIds }: NamedPair): Promise<Answer> {
    const rows = await this.#ask<[string, number]>('firstPage', userIds);
    return { count: rows.at(0)?.[1] ?? 0, page: JSON.stringify(rows.map(([roomId]) => roomId)) };
  }

  async shares({ userIds }: NamedPair): Promise<boolean> {
    const [[shares]] = await this.#ask<[boolean]>('shares', userIds);
    return shares;
  }

  async allRooms({ userIds }: NamedPair): Promise<string[]> {
    return (await this.#ask<[string]>('allRooms', userIds)).map(([roomId]) => roomId);
  }

  async #ask<Row extends unknown[]>(
    name: keyof typeof statements,
    values: readonly string[],
  ): Promise<Row[]> {
    const query = { name, text: statements[name], values: [...values], rowMode: 'array' } as const;
    return (await this.#client.query<Row>(query)).rows;
  }

  async bytes(): Promise<number> {
    const { rows } = await this.#client.query<{ bytes: string }>(
      "SELECT pg_total_relation_size('memberships') AS bytes",
    );
    return Number(rows[0].bytes);
  }

  async close(): Promise<void> {
    await this.#client.end();
    await this.#server.stop();
  }
}
