/**
 * Reads rooms again and puts the index right, between two polls of the feed. So what is read is newer than all changes made before, and
 * older than all that are made after.
 *
 * Cost: a pass over the users for every 256 rooms, to know who is in them; then the members of those rooms from PostgreSQL.
 */
import type { Change } from '../../../base/change.js';
import { roomsPerSearchMax } from '../../../base/limits.js';
import { membersPerRepairMax } from '../bounds.js';
import type { ComparisonDeps } from './comparison.js';
import type { Connection } from '../database/connection.js';
import { membershipsOfRooms } from '../database/memberships-query.js';

export interface Repaired {
  /** Those in which something was wrong. */
  readonly rooms: string[];
  /** How many were wrong. */
  readonly memberships: number;
}

/** @param roomIds each with about how many members it has */
export async function repairRooms(
  roomIds: ReadonlyMap<string, number>,
  { destination, errands }: Pick<ComparisonDeps, 'destination' | 'errands'>,
): Promise<Repaired> {
  const rooms: string[] = [];
  let memberships = 0;
  for (const together of groups(roomIds)) {
    // What has changed since has come through the feed: saying it again changes nothing.
    const members = await destination.membersOf(together);
    await errands.betweenPolls(async (connection) => {
      const changes = await differences(connection, together, members);
      if (changes.length === 0) return;
      memberships += await destination.apply(changes);
      rooms.push(...new Set(changes.map(({ roomId }) => roomId)));
    });
  }
  return { rooms, memberships };
}

/** @param members whom the index has there */
async function differences(
  connection: Connection,
  roomIds: readonly string[],
  members: ReadonlyMap<string, readonly string[]>,
): Promise<Change[]> {
  /** Those that the database has not said to be joined. */
  const wrong = new Map(roomIds.map((roomId) => [roomId, new Set(members.get(roomId))]));
  const changes: Change[] = [];
  for await (const joins of connection.copyMemberships(membershipsOfRooms(roomIds))) {
    for (const join of joins) if (wrong.get(join.roomId)?.delete(join.userId) === false) changes.push(join);
  }
  for (const [roomId, userIds] of wrong)
    for (const userId of userIds) changes.push({ roomId, userId, joined: false });
  return changes;
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
