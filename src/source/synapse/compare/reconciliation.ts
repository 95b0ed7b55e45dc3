/**
 * Compares every room with the database: how many are joined, and the sum of a hash of each member, which PostgreSQL computes page by
 * page. A difference in a room that nothing changed meanwhile is drift, and is put right. A room that did change cannot be
 * compared; where it differs it is read again, and counts as drift when no change explains it.
 *
 * Cost: a pass over the users of the index; in PostgreSQL a scan of the memberships by room, which works an eighth of the time.
 */
import type { RoomTotals } from '../../destination.js';
import type { ReconcileFigures } from '../feed-figures.js';
import { reconcileRestMsMin, reconcileRestShare, roomsPerQuery } from '../bounds.js';
import type { Job } from './chore.js';
import { askAtLeisure, type ComparisonDeps } from './comparison.js';
import type { Connection } from '../database/connection.js';
import { canCompareHashes } from '../database/hash-check.js';
import { isJoined } from '../database/memberships-query.js';
import { repairRooms } from './repair.js';
import { hashText } from '../database/room-hash.js';
import type { TouchedRooms } from '../follow/touched-rooms.js';

/** What rooms have, as far as it differs: each with about how many members. */
type Differing = Map<string, number>;

export class Reconciliation implements Job {
  readonly #deps: ComparisonDeps;
  #comparesHashes = true;
  #runs = 0;
  #roomsCompared = 0;
  #roomsSkipped = 0;
  #roomsDrifted = 0;
  #membershipsRepaired = 0;
  #last: ReconcileFigures['last'];

  constructor(deps: ComparisonDeps) {
    this.#deps = deps;
  }

  get figures(): Omit<ReconcileFigures, 'sweeps' | 'roomsPurged'> {
    return {
      runs: this.#runs,
      roomsCompared: this.#roomsCompared,
      roomsSkipped: this.#roomsSkipped,
      roomsDrifted: this.#roomsDrifted,
      membershipsRepaired: this.#membershipsRepaired,
      last: this.#last,
    };
  }

  async prepare(connection: Connection): Promise<void> {
    const didCompare = this.#comparesHashes;
    this.#comparesHashes = await canCompareHashes(connection);
    if (didCompare && !this.#comparesHashes) {
      this.#deps.observer.advice(
        'this PostgreSQL hashes texts in another way: rooms are compared by how many are joined, and by nothing else',
      );
    }
  }

  async isWanted(): Promise<boolean> {
    return false;
  }

  restMs(lengthMs: number): number {
    return Math.max(reconcileRestMsMin, lengthMs * reconcileRestShare);
  }

  async run(connection: Connection): Promise<void> {
    const { clock, errands, follower, observer } = this.#deps;
    const beganMs = clock.monotonicMs();
    const drifted: string[] = [];
    try {
      const touched = follower.recordTouched();
      await errands.settled();
      const differing = await this.#differing(connection);
      // What the database had then is in the index after this, and its room among the touched ones.
      await errands.settled();
      // All was copied meanwhile, or nearly so: there is nothing left to compare. The next one will do.
      if (touched.isEverything()) return;
      this.#roomsSkipped += touched.size;
      const changed = taken(differing, touched);
      drifted.push(...(await this.#repair(differing)));
      // A change that is on its way names the room when it arrives.
      const touchedSince = follower.recordTouched();
      const wrong = await this.#repair(changed);
      await errands.settled();
      drifted.push(...wrong.filter((roomId) => !touchedSince.isEverything() && !touchedSince.has(roomId)));
    } finally {
      follower.stopRecording();
    }
    this.#runs += 1;
    this.#roomsDrifted += drifted.length;
    if (drifted.length > 0) observer.repaired(drifted.length);
    this.#last = { atMs: clock.nowMs(), seconds: (clock.monotonicMs() - beganMs) / 1000 };
  }

  async #differing(connection: Connection): Promise<Differing> {
    const totals = await this.#deps.destination.sumRooms(this.#comparesHashes ? hashText : undefined);
    const differing: Differing = new Map();
    for (let after: string | null = ''; after !== null;) {
      const end: string | null = await endOfPage(connection, after);
      this.#roomsCompared += await this.#comparePage(connection, after, end, totals, differing);
      after = end;
    }
    // Of the index, and of no page.
    for (const roomId of totals.roomIds()) differing.set(roomId, totals.take(roomId).count);
    return differing;
  }

  /** Compares the rooms above `after`, up to `end` if there is one. @returns how many there are */
  async #comparePage(
    connection: Connection,
    after: string,
    end: string | null,
    totals: RoomTotals,
    differing: Differing,
  ): Promise<number> {
    const hash = this.#comparesHashes ? 'hashtext(state_key)' : '0';
    const rows = await askAtLeisure<{ room_id: string; count: number; hash: number }>(
      connection,
      this.#deps,
      `SELECT room_id, count(*)::int AS count, sum(${hash})::float8 AS hash FROM current_state_events
       WHERE ${isJoined} AND room_id > $1 ${end === null ? '' : 'AND room_id <= $2'} GROUP BY room_id`,
      end === null ? [after] : [after, end],
    );
    for (const row of rows) {
      const total = totals.take(row.room_id);
      if (total.count !== row.count || total.hash !== row.hash)
        differing.set(row.room_id, Math.max(row.count, total.count));
    }
    return rows.length;
  }

  /** @returns in which rooms something was wrong */
  async #repair(differing: Differing): Promise<string[]> {
    const { rooms, memberships } = await repairRooms(differing, this.#deps);
    this.#membershipsRepaired += memberships;
    return rooms;
  }
}

/** @returns the room that a page ends with; null for the last one */
async function endOfPage(connection: Connection, after: string): Promise<string | null> {
  const [{ end }] = await connection.query<{ end: string | null }>(
    `SELECT (SELECT room_id FROM rooms WHERE room_id > $1 ORDER BY room_id OFFSET ${roomsPerQuery - 1} LIMIT 1) AS "end"`,
    [after],
  );
  return end;
}

/** Takes those out that were touched. */
function taken(differing: Differing, touched: TouchedRooms): Differing {
  const changed: Differing = new Map();
  for (const [roomId, members] of differing) {
    if (!touched.has(roomId)) continue;
    changed.set(roomId, members);
    differing.delete(roomId);
  }
  return changed;
}
