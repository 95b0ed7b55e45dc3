/**
 * The truth in SQL: who is joined to which room, as Synapse itself answers it (`current_state_events`), in the three columns that
 * `Connection.copyMemberships` reads. Ids and texts are written into the queries, because COPY takes no parameters.
 */
import { nameBytesMax } from '../../../base/limits.js';
import { literal } from './connection.js';

/** More than any room has members: a LIMIT is what keeps the planner to the index. */
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
 * What holds of everybody whose membership some ids of the stream touched: those above one id, up to another, and some by themselves.
 * LATERAL and LIMIT make it an index look-up for each of them: on its own the planner may read the whole table, when it takes
 * thousands of ids for more.
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
