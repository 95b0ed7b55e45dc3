/**
 * The writing half of a Synapse, by SQL against its tables alone, for what a real one does rarely or slowly: ids are taken first, in
 * statements of their own; then one transaction writes everything under them, whenever the test wants it to, or never.
 *
 * Invariant: a change is visible whole or not at all, its state together with its line in the stream of deltas; the lines of a
 * change are under the lowest of its ids.
 * Cost: a connection, and one more for each transaction that is held open.
 */
import { readFileSync } from 'node:fs';
import type { Client } from 'pg';
import type { PostgresServer } from '../servers/postgres-server.js';

const tablesSql = readFileSync(new URL('../source/synapse-tables.sql', import.meta.url), 'utf8');

export interface Write {
  readonly roomId: string;
  /** User to membership; null takes the state away. */
  readonly members: Readonly<Record<string, string | null>>;
  /** Ids that are taken, at least one: an event each, the first of which are the members'. */
  readonly ids?: number;
  /** State that changed without an event of its own, as at the end of a partial join. */
  readonly withoutEvents?: boolean;
}

/** What has taken its ids, and is not visible yet. */
export interface PendingWrite extends Write {
  readonly writer: string;
  readonly taken: readonly number[];
}

let databases = 0;

export class SimulatedSynapse {
  readonly database: string;
  readonly #postgres: PostgresServer;
  #client: Client;
  #events = 0;

  static async open(postgres: PostgresServer): Promise<SimulatedSynapse> {
    const database = `simulated_${(databases += 1)}`;
    await postgres.query('postgres', `CREATE DATABASE ${database}`);
    const synapse = new SimulatedSynapse(postgres, database, await postgres.connect(database));
    await synapse.#client.query(tablesSql);
    return synapse;
  }

  private constructor(postgres: PostgresServer, database: string, client: Client) {
    this.#postgres = postgres;
    this.database = database;
    this.#client = client;
  }

  async close(): Promise<void> {
    await this.#client.end();
  }

  /** After PostgreSQL was started again. */
  async reconnect(): Promise<void> {
    await this.#client.end().catch(() => undefined);
    this.#client = await this.#postgres.connect(this.database);
  }

  /** Takes the ids of a write. */
  async begin(write: Write, writer = 'master'): Promise<PendingWrite> {
    const { rows } = await this.#client.query<{ id: string }>(
      "SELECT nextval('events_stream_seq') AS id FROM generate_series(1, $1)",
      [write.ids ?? Math.max(1, Object.keys(write.members).length)],
    );
    return { ...write, writer, taken: rows.map(({ id }) => Number(id)) };
  }

  /** Makes a write visible. @param session where it happens: in a transaction there it is visible when that is committed */
  async commit(pending: PendingWrite, session = this.#client): Promise<void> {
    const { roomId, members, taken, writer, withoutEvents = false } = pending;
    const users = Object.keys(members);
    const memberships = users.map((user) => members[user]);
    const eventIds = memberships.map((membership) => (membership === null ? null : this.#newEventId()));
    const isOwn = session === this.#client;
    if (isOwn) await session.query('BEGIN');
    await session.query('INSERT INTO rooms (room_id) VALUES ($1) ON CONFLICT DO NOTHING', [roomId]);
    if (!withoutEvents) {
      const all = taken.map((_, index) => eventIds.at(index) ?? this.#newEventId());
      await session.query(
        'INSERT INTO events (stream_ordering, event_id, room_id, instance_name) SELECT id, event, $3, $4 FROM unnest($1::bigint[], $2::text[]) AS e (id, event)',
        [taken, all, roomId, writer],
      );
    }
    await session.query(
      `INSERT INTO current_state_delta_stream (stream_id, room_id, type, state_key, event_id, instance_name)
       SELECT $1, $2, 'm.room.member', state_key, event, $5 FROM unnest($3::text[], $4::text[]) AS d (state_key, event)`,
      [Math.min(...taken), roomId, users, eventIds, writer],
    );
    await session.query(
      "DELETE FROM current_state_events WHERE room_id = $1 AND type = 'm.room.member' AND state_key = ANY($2)",
      [roomId, users],
    );
    await session.query(
      `INSERT INTO current_state_events (event_id, room_id, type, state_key, membership)
       SELECT event, $1, 'm.room.member', state_key, membership
       FROM unnest($2::text[], $3::text[], $4::text[]) AS s (event, state_key, membership) WHERE event IS NOT NULL`,
      [roomId, eventIds, users, memberships],
    );
    if (isOwn) await session.query('COMMIT');
  }

  /** What a writer says, after its commit, of how far it is. */
  async announce(writer: string, id: number): Promise<void> {
    await this.#client.query(
      `INSERT INTO stream_positions VALUES ('events', $1, $2)
       ON CONFLICT (stream_name, instance_name) DO UPDATE SET stream_id = greatest(stream_positions.stream_id, $2)`,
      [writer, id],
    );
  }

  /** Begins and commits. */
  async write(write: Write): Promise<void> {
    await this.commit(await this.begin(write));
  }

  /** The state of a room goes, and nothing in the stream tells of it. */
  async purge(roomId: string): Promise<void> {
    await this.#client.query('DELETE FROM current_state_events WHERE room_id = $1', [roomId]);
    await this.#client.query('DELETE FROM events WHERE room_id = $1', [roomId]);
    await this.#client.query('DELETE FROM rooms WHERE room_id = $1', [roomId]);
    await this.#client.query(
      `INSERT INTO cache_invalidation_stream_by_instance (stream_id, instance_name, cache_func)
       SELECT coalesce(max(stream_id), 0) + 1, 'master', 'dr_cache_fake' FROM cache_invalidation_stream_by_instance`,
    );
  }

  /** Anything else, on the connection of this. */
  async query<Row extends object = object>(sql: string, values: readonly unknown[] = []): Promise<Row[]> {
    return (await this.#client.query<Row>(sql, [...values])).rows;
  }

  /** Who is joined where, as `room user`, sorted. */
  async truth(): Promise<string[]> {
    const rows = await this.query<{ pair: string }>(
      `SELECT room_id || ' ' || state_key AS pair FROM current_state_events WHERE type = 'm.room.member' AND membership = 'join'`,
    );
    return rows.map(({ pair }) => pair).sort();
  }

  #newEventId(): string {
    this.#events += 1;
    return `$event${this.#events}`;
  }
}
