/**
 * The truth in SQL: who is joined to which room, as Synapse itself answers it (`current_state_events`), in the three columns that
 * `Connection.copyMemberships` reads. Ids and texts are written into the queries, because COPY takes no parameters.
 */
import { nameBytesMax } from '../../../base/limits.js';
import { literal } from './connection.js';

/** More than the members of any room. The LIMIT is there so that the planner uses the index. */
const rowsPerIdMax = 2 ** 31;

/** Of a row of `current_state_events`. What is too long for the index is left out everywhere alike. */
export const isJoined =
  `type = 'm.room.member' AND membership = 'join' AND octet_length(state_key) BETWEEN 1 AND ${nameBytesMax} ` +
  `AND octet_length(room_id) BETWEEN 1 AND ${nameBytesMax}`;

export const allMemberships = `SELECT room_id, state_key, true FROM current_state_events WHERE ${isJoined}`;

/** @param roomIds at least one */
export function membershipsOfRooms(roomIds: readonly string[]): string {
  return `${allMemberships} AND room_id IN (${roomIds.map(literal).join(', ')})`;
}

/**
 * Reads what holds of all memberships that some ids of the stream touched: the ids above one and up to another, and single ones.
 * LATERAL and LIMIT make it one index look-up for each membership. Without them the planner may read the whole table, when it
 * overestimates how many there are.
 */
export function touchedMemberships(above: number, upTo: number, single: readonly number[]): string {
  const amongSingle = `SELECT d.room_id, d.state_key FROM unnest('{${single.join(',')}}'::bigint[]) AS id, LATERAL (
      SELECT room_id, state_key FROM current_state_delta_stream
      WHERE type = 'm.room.member' AND stream_id = id ORDER BY stream_id LIMIT ${rowsPerIdMax}
    ) AS d`;
  return `SELECT t.room_id, t.state_key, now.is_joined
    FROM (
      SELECT room_id, state_key FROM current_state_delta_stream
      WHERE type = 'm.room.member' AND stream_id > ${above} AND stream_id <= ${upTo}
      UNION ${amongSingle}
    ) AS t
    LEFT JOIN LATERAL (
      SELECT c.membership = 'join' AS is_joined FROM current_state_events AS c
      WHERE c.room_id = t.room_id AND c.type = 'm.room.member' AND c.state_key = t.state_key LIMIT 1
    ) AS now ON true
    WHERE octet_length(t.state_key) BETWEEN 1 AND ${nameBytesMax} AND octet_length(t.room_id) BETWEEN 1 AND ${nameBytesMax}`;
}
