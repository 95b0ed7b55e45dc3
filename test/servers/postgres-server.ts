/**
 * A PostgreSQL cluster for tests of what reads from one: on a TCP port of the loopback address, with passwords, in the locale C and
 * UTF-8, as Synapse demands. It can be stopped, crashed and started again on the same data and port.
 *
 * Invariant: whatever was committed is there after `crash`. fsync is off, which only a crash of the machine would show.
 * Cost: 2 s and 40 MB of disk to make; about a second for each start.
 */
import { randomBytes } from 'node:crypto';
import { chownSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { Client, type QueryResultRow } from 'pg';
import { freePort } from './free-port.js';
import { findPostgresPrograms, postgresOwner } from './postgres-programs.js';
import { TemporaryServer } from './temporary-server.js';

const settings = [
  'listen_addresses=127.0.0.1',
  'fsync=off',
  'full_page_writes=off',
  // Containers often have no more than 64 MB for what parallel workers share.
  'dynamic_shared_memory_type=mmap',
];

const queryMsMax = 60_000;

export class PostgresServer {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly superuser = 'postgres';
  readonly password: string;
  readonly #server: TemporaryServer;
  readonly #programs: string;
  readonly #settings: readonly string[];

  private constructor(
    server: TemporaryServer,
    programs: string,
    port: number,
    password: string,
    moreSettings: readonly string[],
  ) {
    this.#server = server;
    this.#programs = programs;
    this.port = port;
    this.password = password;
    this.#settings = [...settings, ...moreSettings];
  }

  /** @param moreSettings such as `shared_buffers=1GB`. @throws NotInstalled */
  static async open(moreSettings: readonly string[] = []): Promise<PostgresServer> {
    const programs = findPostgresPrograms();
    const owner = postgresOwner();
    const port = await freePort();
    const password = randomBytes(16).toString('hex');
    const server = new TemporaryServer('postgres', 'SIGQUIT', owner);
    try {
      const passwordFile = join(server.folder, 'password');
      writeFileSync(passwordFile, password, { mode: 0o600 });
      if (owner !== undefined) chownSync(passwordFile, owner.uid, owner.gid);
      await server.run(join(programs, 'initdb'), [
        ...['--pgdata', join(server.folder, 'data'), '--username', 'postgres', '--pwfile', passwordFile],
        ...['--auth', 'scram-sha-256', '--encoding', 'UTF8', '--locale', 'C', '--no-sync'],
      ]);
      const postgres = new PostgresServer(server, programs, port, password, moreSettings);
      await postgres.start();
      return postgres;
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  async start(): Promise<void> {
    await this.#server.start(
      join(this.#programs, 'postgres'),
      [
        ...['-D', join(this.#server.folder, 'data'), '-k', this.#server.folder, '-p', String(this.port)],
        ...this.#settings.flatMap((setting) => ['-c', setting]),
      ],
      async () => this.query('postgres', 'SELECT 1'),
    );
  }

  /** What `pg_ctl stop` does: transactions are rolled back, connections are told and closed, everything is written. */
  async stop(): Promise<void> {
    await this.#server.end('SIGINT');
  }

  /** All of its processes die at once, without a word to anybody; the next start replays the write-ahead log. */
  async crash(): Promise<void> {
    const { pid } = this.#server;
    if (pid === undefined) return;
    const children = readFileSync(`/proc/${pid}/task/${pid}/children`, 'utf8').split(' ').filter(Boolean);
    await this.#server.end('SIGKILL');
    for (const child of children) killIfThere(Number(child));
    // A start is refused as long as one of them holds the shared memory.
    while (children.some((child) => isThere(Number(child)))) await sleep(10);
  }

  /** A connection as the superuser; the caller ends it. */
  async connect(database: string): Promise<Client> {
    const { host, port, superuser: user, password } = this;
    const client = new Client({ host, port, user, password, database, connectionTimeoutMillis: 10_000 });
    // Without a listener, losing the server would end this process; every query says so as well.
    client.on('error', () => {});
    await client.connect();
    return client;
  }

  /** One statement, or several without values, as the superuser, on a connection of its own. */
  async query<Row extends QueryResultRow>(
    database: string,
    sql: string,
    values: readonly unknown[] = [],
  ): Promise<Row[]> {
    const client = await this.connect(database);
    try {
      await client.query(`SET statement_timeout = ${queryMsMax}`);
      return (await client.query<Row>(sql, values.length === 0 ? undefined : [...values])).rows;
    } finally {
      await client.end();
    }
  }

  async close(): Promise<void> {
    await this.#server.stop();
  }
}

function killIfThere(pid: number): void {
  try {
    process.kill(pid, 'SIGKILL');
  } catch {
    // It noticed that its parent is gone, and ended by itself.
  }
}

function isThere(pid: number): boolean {
  try {
    process.kill(pid, 0);
    return true;
  } catch {
    return false;
  }
}
