/**
 * Copies all memberships in one snapshot of the database, with the position of the stream in that snapshot. A change that is not in
 * the snapshot has an id above the position or in its ledger. Some changes are in both; reading them again does no harm.
 *
 * Cost: one scan of `current_state_events` in PostgreSQL, which holds no lock that Synapse would wait for.
 */
import type { Change } from '../../../base/change.js';
import type { Clock } from '../../../base/clock.js';
import type { Destination, Replaced } from '../../destination.js';
import { joinsTogether, bootstrapLookBackMax, bootstrapLookBackMin, gapRangesMax } from '../bounds.js';
import type { Connection } from '../database/connection.js';
import { GapLedger } from './gap-ledger.js';
import { estimatedMemberships } from '../database/membership-estimate.js';
import { allMemberships } from '../database/memberships-query.js';
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
  destination: Destination,
  clock: Clock,
  onProgress: (rows: number, about: number) => void,
): Promise<Bootstrapped> {
  await connection.query('BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY');
  const position = await positionNow(connection, clock);
  const about = await estimatedMemberships(connection);
  const replacement = await destination.replace();
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
    // It is more likely that a backup is being put back than that everybody has left the homeserver.
    if (rows === 0 && (await hasMembers(destination)))
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

async function hasMembers(destination: Destination): Promise<boolean> {
  for (const _ of (await destination.countMembers()).roomIds()) return true;
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
