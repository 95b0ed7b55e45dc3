/**
 * All that a test of the feed reads from: a PostgreSQL, a Redis and a Synapse, started together and gone together. One for a
 * whole test file, since it takes about 10 s; benches take it too (`clientWorkers`, `postgresSettings`).
 *
 * Invariant: when `close` returns, no process of it is left. A signal or an exit ends them as well (servers/temporary-server.ts).
 * Cost: 10 s of two cores; 250 MB, and 150 MB more for each worker.
 */
import { randomBytes } from 'node:crypto';
import type { QueryResultRow } from 'pg';
import { PostgresServer } from '../servers/postgres-server.js';
import { RedisServer } from '../servers/redis-server.js';
import { SynapseServer, type SynapseOptions } from './synapse-server.js';

export interface TestHomeserverOptions extends Omit<SynapseOptions, 'postgres' | 'redis'> {
  readonly postgresSettings?: readonly string[];
}

export class TestHomeserver {
  readonly postgres: PostgresServer;
  readonly redis: RedisServer;
  readonly synapse: SynapseServer;
  /** Of the role that the sidecar reads with. */
  readonly readerPassword = randomBytes(16).toString('hex');

  private constructor(postgres: PostgresServer, redis: RedisServer, synapse: SynapseServer) {
    this.postgres = postgres;
    this.redis = redis;
    this.synapse = synapse;
  }

  /** @throws NotInstalled */
  static async open({ postgresSettings, ...options }: TestHomeserverOptions = {}): Promise<TestHomeserver> {
    const postgres = await PostgresServer.open(postgresSettings);
    try {
      const redis = await RedisServer.open();
      try {
        return new TestHomeserver(postgres, redis, await SynapseServer.open({ ...options, postgres, redis }));
      } catch (error) {
        await redis.close();
        throw error;
      }
    } catch (error) {
      await postgres.close();
      throw error;
    }
  }

  /** SQL in Synapse's database, as the superuser. */
  async sql<Row extends QueryResultRow>(statement: string, values: readonly unknown[] = []): Promise<Row[]> {
    return this.postgres.query<Row>(SynapseServer.database, statement, values);
  }

  /**
   * Rooms that all of these users are joined to, straight into the tables that count: thousands in a moment, which would take
   * minutes through the API. For users that Synapse has not looked up yet, since it would go on believing what it knows.
   */
  async fill(prefix: string, rooms: number, userIds: readonly string[]): Promise<void> {
    await this.sql(
      `WITH room AS (
         INSERT INTO rooms (room_id, is_public, creator, room_version, has_auth_chain_index)
         SELECT '!' || $1::text || lpad(n::text, 8, '0') || ':${this.synapse.serverName}', false, '@nobody', '10', true
         FROM generate_series(1, $2::int) AS n
         RETURNING room_id
       )
       INSERT INTO current_state_events (event_id, room_id, type, state_key, membership)
       SELECT '$' || md5(room_id || user_id), room_id, 'm.room.member', user_id, 'join'
       FROM room, unnest($3::text[]) AS user_id`,
      [prefix, rooms, userIds],
    );
  }

  /**
   * Stalls whatever the homeserver persists in this room, until `release`: a persist takes a lock on the room's row that
   * this one excludes. Ids of the events stream are taken before that, so they stay in flight.
   */
  async stall(roomId: string): Promise<{ release: () => Promise<void> }> {
    const client = await this.postgres.connect(SynapseServer.database);
    await client.query('BEGIN');
    const { rowCount } = await client.query('SELECT 1 FROM rooms WHERE room_id = $1 FOR UPDATE', [roomId]);
    if (rowCount !== 1) throw new Error(`there is no room ${roomId}`);
    return { release: async () => client.end() };
  }

  /** How many persists wait for a lock of `stall`. */
  async stalledCount(): Promise<number> {
    const [{ count }] = await this.sql<{ count: number }>(
      "SELECT count(*)::int FROM pg_stat_activity WHERE usename = 'synapse' AND wait_event_type = 'Lock'",
    );
    return count;
  }

  async close(): Promise<void> {
    await this.synapse.close();
    await this.redis.close();
    await this.postgres.close();
  }
}
