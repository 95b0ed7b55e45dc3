/**
 * Questions about Synapse's events stream: which ids there are, who writes it, and by which row the database is recognised.
 *
 * An id is in three tables, depending on what it was for. It becomes visible with everything written in its transaction.
 */
import { idsInGapsMax, idsPerGapMax, idsPerPollMax } from '../bounds.js';
import type { Connection } from '../database/connection.js';
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

/** The number in `arm` of those rows of `newIdsQuery` that are the anchor rather than an id. */
const anchorArm = tables.length;

export interface NewIds {
  /** Those that have become visible: ascending, some of them perhaps twice. */
  readonly ids: readonly number[];
  /** All ids up to this one are known now: they are in `ids`, or missing. */
  readonly upTo: number;
  /** The last row among them by which the database can be recognised; undefined where no state was touched. */
  readonly anchor: Anchor | undefined;
  /** Whether the anchor before is still there. */
  readonly isSame: boolean;
  /** Whether that is the end of the stream. */
  readonly isAtEnd: boolean;
}

interface NewIdRow extends Omit<Anchor, 'streamId'> {
  readonly arm: number;
  readonly id: number;
}

/** What an anchor has beside its id. */
const anchorColumns = 'room_id AS "roomId", type, state_key AS "stateKey", event_id AS "eventId"';
const noAnchor = 'NULL AS "roomId", NULL AS type, NULL AS "stateKey", NULL AS "eventId"';

const newIdsQuery = [
  ...tables.map(
    ([table, column], arm) =>
      `(SELECT ${arm} AS arm, ${column}::float8 AS id, ${arm === deltas ? anchorColumns : noAnchor} ` +
      `FROM ${table} WHERE ${column} > $1 ORDER BY ${column} LIMIT $2)`,
  ),
  // In the same query, and so the same snapshot: ids of another database must not be taken for new ids of this one.
  `(SELECT ${anchorArm}, stream_id::float8, ${noAnchor} FROM current_state_delta_stream WHERE ${isTheAnchor(3)} LIMIT 1)`,
].join(' UNION ALL ');

/** ORDER BY and LIMIT make it a look-up in the index for each gap, whatever the planner thinks of a range. */
const gapIdsQuery = `SELECT id::float8 FROM (${tables
  .map(
    ([table, column]) =>
      `SELECT found.id FROM unnest($1::bigint[], $2::bigint[]) AS gap (low, high), LATERAL ` +
      `(SELECT ${column} AS id FROM ${table} WHERE ${column} BETWEEN gap.low AND gap.high ORDER BY ${column} LIMIT $3) AS found`,
  )
  .join(' UNION ALL ')}) AS ids LIMIT $4`;

/** The sequence gives out 2 first. */
const highestQuery = `SELECT greatest(${tables
  .map(([table, column]) => `(SELECT max(${column}) FROM ${table})`)
  .join(', ')}, 1)::float8 AS high`;

/** What is above the highest id so far, as far as one poll goes. */
export async function newIds(
  connection: Connection,
  above: number,
  anchor: Anchor | undefined,
): Promise<NewIds> {
  const values = [above, idsPerPollMax, ...valuesOf(anchor)];
  const found = await connection.query<NewIdRow>(newIdsQuery, values, 'new ids');
  const rows = found.filter(({ arm }) => arm !== anchorArm);
  const counts = tables.map(() => 0);
  const ends = tables.map(() => above);
  for (const { arm, id } of rows) {
    counts[arm] += 1;
    ends[arm] = Math.max(ends[arm], id);
  }
  // Where the LIMIT cut a table off, nothing is known of that table beyond its last id here.
  const cutOff = ends.filter((_, arm) => counts[arm] === idsPerPollMax);
  const upTo = cutOff.length === 0 ? Math.max(...ends) : Math.min(...cutOff);
  const known = rows.filter(({ id }) => id <= upTo);
  return {
    ids: ascending(known),
    upTo,
    anchor: anchorAmong(known),
    isSame: anchor === undefined || rows.length < found.length,
    isAtEnd: cutOff.length === 0,
  };
}

function anchorAmong(rows: readonly NewIdRow[]): Anchor | undefined {
  let last: NewIdRow | undefined;
  for (const row of rows) if (row.arm === deltas && row.id >= (last?.id ?? 0)) last = row;
  if (last === undefined) return undefined;
  const { id, roomId, type, stateKey, eventId } = last;
  return { streamId: id, roomId, type, stateKey, eventId };
}

export interface FilledIds {
  /** Ascending, some of them perhaps twice. */
  readonly ids: readonly number[];
  /** Whether that is all. Else looking for the rest finds more. */
  readonly isAll: boolean;
}

/** What has appeared of these gaps, as far as one poll goes. @param gaps ascending */
export async function filledIds(connection: Connection, gaps: readonly Gap[]): Promise<FilledIds> {
  if (gaps.length === 0) return { ids: [], isAll: true };
  const values = [gaps.map(({ from }) => from), gaps.map(({ to }) => to), idsPerGapMax, idsInGapsMax];
  const ids = ascending(await connection.query<{ id: number }>(gapIdsQuery, values, 'ids in gaps'));
  return { ids, isAll: ids.length < idsInGapsMax && !mayHaveMore(gaps, ids) };
}

/** Whether a table may have had more ids of one of these gaps than are read at once. Both ascend. */
function mayHaveMore(gaps: readonly Gap[], ids: readonly number[]): boolean {
  let at = 0;
  return gaps.some(({ from, to }) => {
    while (at < ids.length && ids[at] < from) at += 1;
    const first = at;
    while (at < ids.length && ids[at] <= to) at += 1;
    return at - first >= idsPerGapMax && to - from >= idsPerGapMax;
  });
}

function ascending(rows: readonly { readonly id: number }[]): number[] {
  return rows.map(({ id }) => id).sort((left, right) => left - right);
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
    `SELECT stream_id::float8 AS "streamId", ${anchorColumns}
     FROM current_state_delta_stream WHERE stream_id <= $1 ORDER BY stream_id DESC LIMIT 1`,
    [high],
  );
  return rows.at(0);
}

export async function isAnchored(connection: Connection, anchor: Anchor): Promise<boolean> {
  const [{ exists }] = await connection.query<{ exists: boolean }>(
    `SELECT EXISTS (SELECT FROM current_state_delta_stream WHERE ${isTheAnchor(1)})`,
    valuesOf(anchor),
  );
  return exists;
}

/** @param first number of the first of the parameters that `valuesOf` gives */
function isTheAnchor(first: number): string {
  const [id, room, type, key, event] = [0, 1, 2, 3, 4].map((at) => `$${first + at}`);
  return (
    `stream_id = ${id}::bigint AND room_id = ${room} AND type = ${type} AND state_key = ${key} ` +
    `AND event_id IS NOT DISTINCT FROM ${event}`
  );
}

function valuesOf(anchor: Anchor | undefined): (string | number | null)[] {
  if (anchor === undefined) return [null, null, null, null, null];
  const { streamId, roomId, type, stateKey, eventId } = anchor;
  return [streamId, roomId, type, stateKey, eventId];
}
