/**
 * Looks for rooms that have members in the index and none in the database: purged rooms, of which no change tells. It runs at an
 * interval, and after a purge was heard of (purge-watch.ts, Redis).
 *
 * Cost: a count of the members of each room in the index, an index look-up for each room in PostgreSQL, which works an eighth of the time.
 */
import type { ReconcileFigures } from '../feed-figures.js';
import { roomsPerQuery } from '../bounds.js';
import type { Job } from './chore.js';
import { askAtLeisure, type ComparisonDeps } from './comparison.js';
import type { Connection } from '../database/connection.js';
import { PurgeWatch } from './purge-watch.js';
import { repairRooms } from './repair.js';

/** LATERAL and LIMIT: the planner might read the whole table to find who is not in it. */
const withoutMembers = `
  SELECT room.id AS room_id FROM unnest($1::text[]) AS room (id) LEFT JOIN LATERAL (
    SELECT true AS has_members FROM current_state_events AS c
    WHERE c.room_id = room.id AND c.type = 'm.room.member' AND c.membership = 'join' LIMIT 1
  ) AS joined ON true WHERE joined.has_members IS NULL`;

export class Sweep implements Job {
  readonly #deps: ComparisonDeps;
  #purges: PurgeWatch | undefined;
  #sweeps = 0;
  #roomsPurged = 0;

  constructor(deps: ComparisonDeps) {
    this.#deps = deps;
  }

  get figures(): Pick<ReconcileFigures, 'sweeps' | 'roomsPurged'> {
    return { sweeps: this.#sweeps, roomsPurged: this.#roomsPurged };
  }

  async prepare(connection: Connection): Promise<void> {
    this.#purges = await PurgeWatch.open(connection);
  }

  async isWanted(): Promise<boolean> {
    return (await this.#purges?.wasPurged()) === true;
  }

  restMs(lengthMs: number): number {
    return lengthMs;
  }

  async run(connection: Connection): Promise<void> {
    const { destination, observer, errands } = this.#deps;
    await errands.settled();
    const counts = await destination.countMembers();
    const emptied = new Map<string, number>();
    for (const roomIds of pages(counts.roomIds())) {
      const rows = await askAtLeisure<{ room_id: string }>(connection, this.#deps, withoutMembers, [roomIds]);
      for (const { room_id: roomId } of rows) emptied.set(roomId, counts.countOf(roomId));
    }
    this.#sweeps += 1;
    const { rooms } = await repairRooms(emptied, this.#deps);
    this.#roomsPurged += rooms.length;
    if (rooms.length > 0) observer.swept(rooms.length);
  }
}

function* pages(roomIds: Iterable<string>): Generator<string[]> {
  let page: string[] = [];
  for (const roomId of roomIds) {
    page.push(roomId);
    if (page.length < roomsPerQuery) continue;
    yield page;
    page = [];
  }
  if (page.length > 0) yield page;
}
