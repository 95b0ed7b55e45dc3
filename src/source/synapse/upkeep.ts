/**
 * What the stream of changes does not tell of: rooms that were purged, and whatever else made the index differ from the
 * database. It looks by itself, on a connection of its own and at leisure; what it finds is put right between two polls of
 * the feed, so that nothing older ever comes after something newer.
 *
 * Sweep: rooms with members in the index and none in the database. Reconciliation: every room, by a count and a hash of its members,
 * which PostgreSQL works out page by page. Rooms that change meanwhile are not compared; a difference in any other one is
 * drift.
 *
 * Cost: an eighth of a core of PostgreSQL while it looks; a pass over the users for each look, in steps.
 */
import type { Change } from '../../base/change.js';
import type { Clock } from '../../base/clock.js';
import { roomsPerSearchMax } from '../../base/limits.js';
import type { FedIndex } from '../fed-index.js';
import type { ReconcileStatus } from '../source-status.js';
import { membersPerRepairMax, roomsPerQuery, upkeepPause } from './bounds.js';
import type { Connection } from './connection.js';
import type { FeedObserver } from './feed-observer.js';
import { canCompareHashes } from './hash-check.js';
import { isJoined, membershipsOfRooms } from './memberships-query.js';
import { Pause } from './pause.js';
import { PurgeWatch } from './purge-watch.js';
import { hashText } from './room-hash.js';
import type { TouchedRooms } from './touched-rooms.js';

export interface UpkeepDeps {
  readonly index: FedIndex;
  readonly observer: FeedObserver;
  readonly clock: Clock;
  readonly reconcileIntervalMs: number | null;
  readonly sweepIntervalMs: number | null;
  readonly open: () => Promise<Connection>;
  /** Resolves when all that is visible in the database now is in the index. */
  readonly settled: () => Promise<void>;
  /** Runs on the feed's connection, while nothing else changes the index. */
  readonly betweenPolls: (run: (connection: Connection) => Promise<void>) => Promise<void>;
  /** @returns the rooms that the feed changes from now on, as they come */
  readonly recordTouched: () => TouchedRooms;
  readonly stopRecording: () => void;
  readonly failed: (error: unknown) => void;
  readonly signal: AbortSignal;
}

const lookEveryMs = 1_000;
const retryMs = 10_000;

export class Upkeep {
  readonly #deps: UpkeepDeps;
  readonly #pause: Pause;
  #sweepAtMs: number;
  #reconcileAtMs: number;
  #purges: PurgeWatch | undefined;
  #canCompareHashes = true;
  readonly #counts = {
    runs: 0,
    sweeps: 0,
    roomsCompared: 0,
    roomsSkipped: 0,
    roomsPurged: 0,
    roomsDrifted: 0,
    membershipsRepaired: 0,
  };
  #last: ReconcileStatus['last'];

  constructor(deps: UpkeepDeps) {
    this.#deps = deps;
    this.#pause = new Pause(deps.signal);
    // The first ones come soon: who knows what was changed while nobody looked.
    this.#sweepAtMs = deps.sweepIntervalMs === null ? Infinity : 0;
    this.#reconcileAtMs = deps.reconcileIntervalMs === null ? Infinity : 0;
  }

  get status(): ReconcileStatus {
    return { ...this.#counts, last: this.#last };
  }

  sweepSoon(): void {
    if (this.#deps.sweepIntervalMs === null) return;
    this.#sweepAtMs = 0;
    this.#pause.end();
  }

  reconcileSoon(): void {
    if (this.#deps.reconcileIntervalMs !== null) this.#reconcileAtMs = 0;
  }

  /** Until the signal. */
  async run(): Promise<void> {
    const { sweepIntervalMs, reconcileIntervalMs } = this.#deps;
    if (sweepIntervalMs === null && reconcileIntervalMs === null) return;
    while (!this.#isOver()) {
      let connection: Connection | undefined;
      try {
        connection = await this.#deps.open();
        await this.#prepare(connection);
        while (!this.#isOver()) await this.#look(connection);
      } catch (error) {
        if (this.#isOver()) break;
        // Whichever of them it was.
        this.sweepSoon();
        this.reconcileSoon();
        this.#deps.failed(error);
        await this.#pause.atLeast(retryMs);
      } finally {
        connection?.close();
      }
    }
  }

  #isOver(): boolean {
    return this.#deps.signal.aborted;
  }

  async #prepare(connection: Connection): Promise<void> {
    const couldCompare = this.#canCompareHashes;
    this.#canCompareHashes = await canCompareHashes(connection);
    if (couldCompare && !this.#canCompareHashes) {
      this.#deps.observer.advice(
        'this PostgreSQL hashes texts in another way: rooms are compared by how many are joined, and by nothing else',
      );
    }
    this.#purges = await PurgeWatch.open(connection);
  }

  async #look(connection: Connection): Promise<void> {
    const { clock, sweepIntervalMs, reconcileIntervalMs } = this.#deps;
    if ((await this.#purges?.wasPurged()) === true) this.sweepSoon();
    const nowMs = clock.monotonicMs();
    // The next one is due before this one begins: what happens meanwhile may ask for it sooner.
    if (sweepIntervalMs !== null && nowMs >= this.#sweepAtMs) {
      this.#sweepAtMs = nowMs + sweepIntervalMs;
      await this.#sweep(connection);
    }
    if (reconcileIntervalMs !== null && nowMs >= this.#reconcileAtMs) {
      this.#reconcileAtMs = nowMs + reconcileIntervalMs;
      await this.#reconcile(connection);
    }
    const leastMs = Math.min(reconcileIntervalMs ?? Infinity, sweepIntervalMs ?? Infinity);
    await this.#pause.between(0, Math.min(lookEveryMs, leastMs));
  }

  async #sweep(connection: Connection): Promise<void> {
    await this.#settled();
    const totals = await this.#deps.index.sumRooms();
    const emptied = new Map<string, number>();
    for (const roomIds of pages(totals.roomIds())) {
      const rows = await this.#ask<{ room_id: string }>(
        connection,
        `SELECT room.id AS room_id FROM unnest($1::text[]) AS room (id) LEFT JOIN LATERAL (
           SELECT true AS has_members FROM current_state_events AS c
           WHERE c.room_id = room.id AND c.type = 'm.room.member' AND c.membership = 'join' LIMIT 1
         ) AS joined ON true WHERE joined.has_members IS NULL`,
        [roomIds],
      );
      for (const row of rows) emptied.set(row.room_id, totals.take(row.room_id).count);
    }
    this.#counts.sweeps += 1;
    const { rooms } = await this.#repair(emptied);
    this.#counts.roomsPurged += rooms;
    if (rooms > 0) this.#deps.observer.swept(rooms);
  }

  async #reconcile(connection: Connection): Promise<void> {
    const beganMs = this.#deps.clock.monotonicMs();
    try {
      await this.#compareAll(connection, this.#deps.recordTouched());
    } finally {
      this.#deps.stopRecording();
    }
    this.#last = {
      atMs: this.#deps.clock.nowMs(),
      seconds: (this.#deps.clock.monotonicMs() - beganMs) / 1000,
    };
  }

  async #compareAll(connection: Connection, touched: TouchedRooms): Promise<void> {
    const { index } = this.#deps;
    await this.#settled();
    const totals = await index.sumRooms(this.#canCompareHashes ? hashText : undefined);
    /** Each with the members that it has. */
    const differing = new Map<string, number>();
    for (let after = ''; ;) {
      const [{ end }] = await connection.query<{ end: string | null }>(
        `SELECT (SELECT room_id FROM rooms WHERE room_id > $1 ORDER BY room_id OFFSET ${roomsPerQuery - 1} LIMIT 1) AS "end"`,
        [after],
      );
      const rows = await this.#ask<{ room_id: string; count: number; hash: number }>(
        connection,
        `SELECT room_id, count(*)::int AS count, sum(${this.#canCompareHashes ? 'hashtext(state_key)' : '0'})::float8 AS hash
         FROM current_state_events WHERE ${isJoined} AND room_id > $1 ${end === null ? '' : 'AND room_id <= $2'} GROUP BY room_id`,
        end === null ? [after] : [after, end],
      );
      for (const { room_id: roomId, count, hash } of rows) {
        const total = totals.take(roomId);
        if (total.count !== count || total.hash !== hash) differing.set(roomId, Math.max(count, total.count));
      }
      this.#counts.roomsCompared += rows.length;
      if (touched.isEverything())
        throw new Error('too much was changed during a reconciliation: it begins anew');
      if (end === null) break;
      after = end;
    }
    // Of the index, and of no page.
    for (const roomId of totals.roomIds()) differing.set(roomId, totals.take(roomId).count);
    // What the database had then is in the index after this, and its room among the touched ones.
    await this.#settled();
    this.#counts.runs += 1;
    this.#counts.roomsSkipped += touched.size;
    if (touched.isEverything()) throw new Error('all was copied during a reconciliation: it begins anew');
    for (const roomId of differing.keys()) if (touched.has(roomId)) differing.delete(roomId);
    const { rooms, memberships } = await this.#repair(differing);
    this.#counts.roomsDrifted += rooms;
    this.#counts.membershipsRepaired += memberships;
    if (memberships > 0) this.#deps.observer.repaired(rooms, memberships);
  }

  /** @throws when it is over */
  async #settled(): Promise<void> {
    await this.#deps.settled();
    if (this.#isOver()) throw new Error('the feed is closed');
  }

  /** A query, and a pause after it. */
  async #ask<Row extends object>(
    connection: Connection,
    text: string,
    values: readonly unknown[],
  ): Promise<Row[]> {
    const { clock } = this.#deps;
    const beganMs = clock.monotonicMs();
    const rows = await connection.query<Row>(text, values);
    await this.#pause.atLeast(upkeepPause * (clock.monotonicMs() - beganMs));
    if (this.#isOver()) throw new Error('the feed is closed');
    return rows;
  }

  /**
   * Reads rooms again, and makes the index what they are.
   * @param roomIds each with the members that it has, about
   * @returns in how many rooms how many memberships were wrong
   */
  async #repair(roomIds: ReadonlyMap<string, number>): Promise<{ rooms: number; memberships: number }> {
    let rooms = 0;
    let memberships = 0;
    for (const together of groups(roomIds)) {
      // What is newer than this list has come through the feed, and is right.
      const members = await this.#deps.index.membersOf(together);
      await this.#deps.betweenPolls(async (connection) => {
        const repaired = await this.#makeTrue(connection, together, members);
        if (repaired > 0) rooms += together.length;
        memberships += repaired;
      });
    }
    return { rooms, memberships };
  }

  /** @param members whom the index has there. @returns how many memberships were wrong */
  async #makeTrue(
    connection: Connection,
    roomIds: readonly string[],
    members: ReadonlyMap<string, readonly string[]>,
  ): Promise<number> {
    const joined = new Map(roomIds.map((roomId) => [roomId, new Set<string>()]));
    const query = membershipsOfRooms(roomIds.map((roomId) => connection.literal(roomId)));
    const changes: Change[] = [];
    for await (const rows of connection.copyMemberships(query)) {
      for (const row of rows) joined.get(row.roomId)?.add(row.userId);
      for (const row of rows) changes.push(row);
    }
    for (const [roomId, userIds] of members) {
      for (const userId of userIds)
        if (joined.get(roomId)?.has(userId) !== true) changes.push({ roomId, userId, joined: false });
    }
    return changes.length === 0 ? 0 : this.#deps.index.apply(changes);
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

/** Rooms that are read again together: not too many, nor with too many members. */
function* groups(roomIds: ReadonlyMap<string, number>): Generator<string[]> {
  let group: string[] = [];
  let members = 0;
  for (const [roomId, count] of roomIds) {
    if (group.length === roomsPerSearchMax || (group.length > 0 && members + count > membersPerRepairMax)) {
      yield group;
      group = [];
      members = 0;
    }
    group.push(roomId);
    members += count;
  }
  if (group.length > 0) yield group;
}
