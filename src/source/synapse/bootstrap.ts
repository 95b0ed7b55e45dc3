/**
 * All memberships at one moment, and how far the stream is read by then: one snapshot of the database. What is not in it is above
 * the position, or in its ledger; what is both is read again, which does no harm.
 *
 * Cost: one scan of `current_state_events` in PostgreSQL, which holds no lock that Synapse would wait for.
 */
import type { Change } from '../../base/change.js';
import type { Clock } from '../../base/clock.js';
import type { FedIndex, Replaced } from '../fed-index.js';
import { joinsTogether, bootstrapLookBackMax, bootstrapLookBackMin, gapRangesMax } from './bounds.js';
import type { Connection } from './connection.js';
import { GapLedger } from './gap-ledger.js';
import { estimatedMemberships } from './membership-estimate.js';
import { allMemberships } from './memberships-query.js';
import { cursorOf, type Position } from './position.js';
import { anchorUpTo, announcedId, highestId, missingIds } from './stream.js';

export interface Bootstrapped extends Replaced {
  readonly position: Position;
  /** Memberships that were read. */
  readonly rows: number;
}

/**
 * Makes the index what the database says; until all is read the index stays as it was.
 * @param onProgress rows that were read, of about so many
 */
export async function bootstrap(
  connection: Connection,
  index: FedIndex,
  clock: Clock,
  onProgress: (rows: number, about: number) => void,
): Promise<Bootstrapped> {
  await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const position = await positionNow(connection, clock);
  const about = await estimatedMemberships(connection);
  const replacement = await index.replace();
  try {
    let rows = 0;
    let joins: Change[] = [];
    for await (const piece of connection.copyMemberships(allMemberships)) {
      for (const join of piece) joins.push(join);
      if (joins.length < joinsTogether) continue;
      await replacement.add(joins);
      rows += joins.length;
      onProgress(rows, Math.max(rows, about));
      joins = [];
    }
    await replacement.add(joins);
    rows += joins.length;
    await connection.query('COMMIT');
    // One that is being put back, more likely than a homeserver that everybody has left.
    if (rows === 0 && (await hasMembers(index)))
      throw new Error(
        'the database has no membership at all: what the index has stays until there is one; ' +
          'for another homeserver, begin with an empty data_dir',
      );
    const replaced = await replacement.finish({
      unfinished: cursorOf(position, false),
      finished: cursorOf(position),
    });
    return { ...replaced, position, rows };
  } finally {
    await replacement.close();
  }
}

async function hasMembers(index: FedIndex): Promise<boolean> {
  for (const _ of (await index.sumRooms()).roomIds()) return true;
  return false;
}

async function positionNow(connection: Connection, clock: Clock): Promise<Position> {
  const asOfMs = clock.nowMs();
  const high = await highestId(connection);
  const announced = (await announcedId(connection)) ?? 0;
  // The sequence gives out 2 first.
  const from = Math.max(Math.min(high - bootstrapLookBackMin, announced), high - bootstrapLookBackMax, 1);
  const missing = await missingIds(connection, from, high, gapRangesMax);
  return {
    high,
    ledger: new GapLedger(missing.map((range) => ({ ...range, sinceMs: clock.monotonicMs() }))),
    anchor: await anchorUpTo(connection, high),
    asOfMs,
  };
}
