/**
 * Fills `current_state_events` as that of a Synapse is: a made-up homeserver's memberships (bench/data/population.ts), those who
 * left or were banned, and the other state of every room. Half of the rooms lie together, as they do when a server joins a room
 * that is there already; the rows of the others are scattered, as members come one by one.
 *
 * Cost: about 25 s for a million memberships, most of it PostgreSQL's indexes.
 */
import { readFileSync } from 'node:fs';
import { Readable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import type { Client } from 'pg';
import { from as copyFrom } from 'pg-copy-streams';
import type { Population } from '../data/population.js';

const tablesSql = readFileSync(new URL('../../test/source/synapse-tables.sql', import.meta.url), 'utf8');

/** Users whose memberships go to PostgreSQL together. */
const usersTogether = 2_000;

/** What the stream has of the past. */
const streamedRows = 20_000;

const otherState = [
  ...['m.room.create', 'm.room.power_levels', 'm.room.join_rules', 'm.room.history_visibility'],
  ...['m.room.name', 'm.room.topic', 'm.room.guest_access', 'm.room.canonical_alias'],
];

/** The tables that the feed reads, where there is no Synapse that makes them. */
export async function makeTables(client: Client): Promise<void> {
  await client.query(tablesSql);
}

/**
 * @param userIdOf says how users are called, when not as the population says
 * @returns how many memberships there are
 */
export async function fillMemberships(
  client: Client,
  population: Population,
  userIdOf = (user: number): string => population.userId(user),
): Promise<number> {
  await client.query(
    `SET maintenance_work_mem = '512MB'; SET work_mem = '256MB'; SET synchronous_commit = off`,
  );
  await client.query('CREATE TEMPORARY TABLE joined (room_id text NOT NULL, user_id text NOT NULL)');
  const lines = Readable.from(copyLines(population, userIdOf), { objectMode: false });
  await pipeline(lines, client.query(copyFrom('COPY joined FROM STDIN')));
  await client.query(`
    INSERT INTO current_state_events (event_id, room_id, type, state_key, membership)
    SELECT '$' || translate(encode(sha256(convert_to(room_id || type || state_key, 'UTF8')), 'base64'), '+/=', '-_'),
      room_id, type, state_key, membership
    FROM (
      SELECT room_id, 'm.room.member' AS type, user_id AS state_key, 'join' AS membership FROM joined
      UNION ALL
      SELECT room_id, 'm.room.member', replace(user_id, ':', '.gone:'),
        CASE WHEN hashtext(user_id) % 8 = 0 THEN 'ban' ELSE 'leave' END
      FROM joined WHERE hashtext(room_id || user_id) % 4 = 0
      UNION ALL
      SELECT room_id, type, '', NULL
      FROM (SELECT DISTINCT room_id FROM joined) AS room, unnest(ARRAY['${otherState.join("', '")}']) AS type
    ) AS state
    ORDER BY CASE WHEN hashtext(room_id) % 2 = 0 THEN hashtext(room_id) ELSE hashtext(room_id || state_key) END`);
  const { rows } = await client.query<{ count: number }>('SELECT count(*)::int FROM joined');
  await client.query('DROP TABLE joined');
  return rows[0].count;
}

/** What else the feed reads of the tables of `makeTables`. */
export async function fillStream(client: Client): Promise<void> {
  await client.query(`
    INSERT INTO rooms (room_id) SELECT DISTINCT room_id FROM current_state_events;
    INSERT INTO events (stream_ordering, event_id, room_id, instance_name)
    SELECT nextval('events_stream_seq'), event_id, room_id, 'master' FROM current_state_events LIMIT ${streamedRows};
    INSERT INTO current_state_delta_stream (stream_id, room_id, type, state_key, event_id, instance_name)
    SELECT stream_ordering, room_id, type, state_key, event_id, 'master'
    FROM events JOIN current_state_events USING (event_id, room_id);
    INSERT INTO stream_positions SELECT 'events', 'master', max(stream_ordering) FROM events;`);
  await client.query('VACUUM (FREEZE, ANALYZE)');
  await client.query('CHECKPOINT');
}

function* copyLines(population: Population, userIdOf: (user: number) => string): Generator<string> {
  const roomIds = new Map<number, string>();
  const roomIdOf = (room: number): string => {
    let roomId = roomIds.get(room);
    if (roomId === undefined) roomIds.set(room, (roomId = population.roomId(room)));
    return roomId;
  };
  let lines = '';
  for (let user = 0; user < population.users; user += 1) {
    const userId = userIdOf(user);
    for (const room of population.roomsOf(user)) lines += `${roomIdOf(room)}\t${userId}\n`;
    if (user % usersTogether > 0) continue;
    yield lines;
    lines = '';
  }
  yield lines;
}
