/**
 * All that a test of the feed reads from: a PostgreSQL, a Redis and a Synapse, started together and gone together. One for a
 * whole test file, since it takes about 10 s; benches take it too (`clientWorkers`, `postgresSettings`).
 *
 * Invariant: when `close` returns, no process of it is left. A signal or an exit ends them as well (servers/temporary-server.ts).
 * Cost: 10 s of two cores; 250 MB, and 150 MB more for each worker.
 */
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
