/**
 * Questions about Synapse's events stream: which ids there are, who writes it, and by which row the database is recognised.
 *
 * An id is in three tables, depending on what it was for. It becomes visible with everything written in its transaction.
 */
import { idsPerGapMax, idsPerPollMax } from './bounds.js';
import type { Connection } from './connection.js';
import type { Gap } from './gap-ledger.js';
import type { Anchor } from './position.js';

/** Each table that ids of the stream are in, with their column. */
const tables = [
  ['events', 'stream_ordering'],
  ['current_state_delta_stream', 'stream_id'],
  ['ex_outlier_stream', 'event_stream_ordering'],
] as const;

/** The one that says which memberships were touched. */
const deltas = 1;

/** Ids that have become visible. */
export interface SeenIds {
  /** Ascending, some of them perhaps twice. */
  readonly ids: readonly number[];
  /** Those under which memberships, or other state, were touched. */
  readonly withState: readonly number[];
}

export interface NewIds extends SeenIds {
  /** All ids up to this one are known now: they are in `ids`, or missing. */
  readonly upTo: number;
  /** Whether that is the end of the stream. */
  readonly isAtEnd: boolean;
}

interface IdRow {
  readonly arm: number;
  readonly id: number;
}

const newIdsQuery = tables
  .map(
    ([table, column], arm) =>
      `SELECT ${arm} AS arm, id::float8 FROM ` +
      `(SELECT ${column} AS id FROM ${table} WHERE ${column} > $1 ORDER BY ${column} LIMIT $2) AS arm_${arm}`,
  )
  .join(' UNION ALL ');

/** ORDER BY and LIMIT make it a look-up in the index for each gap, whatever the planner thinks of a range. */
const gapIdsQuery = tables
  .map(
    ([table, column], arm) =>
      `SELECT ${arm} AS arm, found.id::float8 FROM unnest($1::bigint[], $2::bigint[]) AS gap (low, high), LATERAL ` +
      `(SELECT ${column} AS id FROM ${table} WHERE ${column} BETWEEN gap.low AND gap.high ORDER BY ${column} LIMIT $3) AS found`,
  )
  .join(' UNION ALL ');

/** The sequence gives out 2 first. */
const highestQuery = `SELECT greatest(${tables
  .map(([table, column]) => `(SELECT max(${column}) FROM ${table})`)
  .join(', ')}, 1)::float8 AS high`;

/** What is above the highest id so far, as far as one poll goes. */
export async function newIds(connection: Connection, above: number): Promise<NewIds> {
  const rows = await connection.query<IdRow>(newIdsQuery, [above, idsPerPollMax], 'new ids');
  const counts = tables.map(() => 0);
  const ends = tables.map(() => above);
  for (const { arm, id } of rows) {
    counts[arm] += 1;
    ends[arm] = Math.max(ends[arm], id);
  }
  // Beyond the last id of a table that has more, nothing is known of that table.
  const cutOff = ends.filter((_, arm) => counts[arm] === idsPerPollMax);
  const upTo = cutOff.length === 0 ? Math.max(...ends) : Math.min(...cutOff);
  return { ...seen(rows.filter(({ id }) => id <= upTo)), upTo, isAtEnd: cutOff.length === 0 };
}

/** What has appeared of these gaps. */
export async function filledIds(connection: Connection, gaps: readonly Gap[]): Promise<SeenIds> {
  if (gaps.length === 0) return { ids: [], withState: [] };
  const values = [gaps.map(({ from }) => from), gaps.map(({ to }) => to), idsPerGapMax];
  return seen(await connection.query<IdRow>(gapIdsQuery, values, 'ids in gaps'));
}

function seen(rows: readonly IdRow[]): SeenIds {
  const ids = rows.map(({ id }) => id).sort((left, right) => left - right);
  const withState = new Set(rows.filter(({ arm }) => arm === deltas).map(({ id }) => id));
  return { ids, withState: [...withState] };
}

/** The highest id that is visible. It may go down: a purge deletes events. */
export async function highestId(connection: Connection): Promise<number> {
  const [{ high }] = await connection.query<{ high: number }>(highestQuery);
  return high;
}

/** Ranges of ids that are missing between two that are not, the newest ones first where there are too many. */
export async function missingIds(
  connection: Connection,
  above: number,
  upTo: number,
  countMax: number,
): Promise<{ from: number; to: number }[]> {
  const arms = tables.map(
    ([table, column]) => `SELECT ${column} AS id FROM ${table} WHERE ${column} > $1 AND ${column} <= $2`,
  );
  const rows = await connection.query<{ from: number; to: number }>(
    `SELECT before::float8 + 1 AS "from", id::float8 - 1 AS "to" FROM (
       SELECT id, lag(id, 1, $1::bigint) OVER (ORDER BY id) AS before FROM (${arms.join(' UNION ')}) AS ids
     ) AS pairs WHERE id > before + 1 ORDER BY id DESC LIMIT $3`,
    [above, upTo, countMax],
  );
  return rows.reverse();
}

/** Up to which id every writer says that all are done; undefined when none says anything. */
export async function announcedId(connection: Connection): Promise<number | undefined> {
  const [{ announced }] = await connection.query<{ announced: number | null }>(
    `SELECT min(stream_id)::float8 AS announced FROM stream_positions WHERE stream_name = 'events'`,
  );
  return announced ?? undefined;
}

/** The last row up to an id by which the database can be recognised. */
export async function anchorUpTo(connection: Connection, high: number): Promise<Anchor | undefined> {
  const rows = await connection.query<Anchor>(
    `SELECT stream_id::float8 AS "streamId", room_id AS "roomId", type, state_key AS "stateKey", event_id AS "eventId"
     FROM current_state_delta_stream WHERE stream_id <= $1 ORDER BY stream_id DESC LIMIT 1`,
    [high],
  );
  return rows.at(0);
}

export async function isAnchored(connection: Connection, anchor: Anchor): Promise<boolean> {
  const { streamId, roomId, type, stateKey, eventId } = anchor;
  const [{ exists }] = await connection.query<{ exists: boolean }>(
    `SELECT EXISTS (SELECT FROM current_state_delta_stream WHERE stream_id = $1 AND room_id = $2 AND type = $3
       AND state_key = $4 AND event_id IS NOT DISTINCT FROM $5)`,
    [streamId, roomId, type, stateKey, eventId],
  );
  return exists;
}
