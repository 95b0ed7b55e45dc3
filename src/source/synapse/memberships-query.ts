/**
 * The truth in SQL: who is joined to which room, as Synapse itself answers it (`current_state_events`), in the three columns that
 * `Connection.copyMemberships` reads. Ids and texts are written into the queries, because COPY takes no parameters.
 */
import { nameBytesMax } from '../../base/limits.js';

/** Of a row of `current_state_events`. What is too long for the index is left out everywhere alike. */
export const isJoined =
  `type = 'm.room.member' AND membership = 'join' AND octet_length(state_key) BETWEEN 1 AND ${nameBytesMax} ` +
  `AND octet_length(room_id) BETWEEN 1 AND ${nameBytesMax}`;

export const allMemberships = `SELECT room_id, state_key, true FROM current_state_events WHERE ${isJoined}`;

/** @param rooms as SQL writes texts, at least one */
export function membershipsOfRooms(rooms: readonly string[]): string {
  return `${allMemberships} AND room_id IN (${rooms.join(', ')})`;
}

/**
 * What holds of everybody whose membership some ids of the stream touched. LATERAL and LIMIT make it an index look-up for each of
 * them: on its own the planner may read the whole table, when it takes thousands of ids for more.
 */
export function touchedMemberships(above: number, upTo: number, filledGaps: readonly number[]): string {
  const inGaps =
    filledGaps.length === 0 ? '' : ` UNION ${touched(`stream_id IN (${filledGaps.join(', ')})`)}`;
  return `SELECT t.room_id, t.state_key, now.is_joined
    FROM (${touched(`stream_id > ${above} AND stream_id <= ${upTo}`)}${inGaps}) AS t
    LEFT JOIN LATERAL (
      SELECT c.membership = 'join' AS is_joined FROM current_state_events AS c
      WHERE c.room_id = t.room_id AND c.type = 'm.room.member' AND c.state_key = t.state_key LIMIT 1
    ) AS now ON true
    WHERE octet_length(t.state_key) BETWEEN 1 AND ${nameBytesMax} AND octet_length(t.room_id) BETWEEN 1 AND ${nameBytesMax}`;
}

function touched(condition: string): string {
  return `SELECT DISTINCT room_id, state_key FROM current_state_delta_stream WHERE type = 'm.room.member' AND ${condition}`;
}
