/**
 * Who is in which room, without a list of members: for a source that compares the index with the truth.
 *
 * All go in steps between which questions are answered, so changes made meanwhile may be in the answer or not.
 */
import { setImmediate } from 'node:timers/promises';
import { assert } from '../base/assert.js';
import { partitionCount, partitionOf, firstRoomOf } from '../base/ids.js';
import { roomsPerSearchMax } from '../base/limits.js';
import { usersPerSearchStep, usersPerListStep } from './bounds.js';
import type { Directory } from '../directory/directory.js';
import { RoomSums } from '../shard/room-sums.js';
import type { Engine } from './engine.js';
import { RoomTotals } from './room-totals.js';

type Parts = Pick<Engine, 'directory' | 'shards'>;

/** Users that are hashed before questions are answered again: about 0.3 ms. */
const usersPerHashStep = 1_024;

/**
 * Who is joined to these rooms; at most `roomsPerSearchMax` of them.
 * @returns the members of each room that has any
 */
export async function membersOf(
  { directory, shards }: Parts,
  roomIds: readonly string[],
): Promise<Map<string, string[]>> {
  assert(roomIds.length <= roomsPerSearchMax, 'members are looked for in at most roomsPerSearchMax rooms');
  const numbers = roomIds.map((roomId) => directory.rooms.find(roomId)).filter((room) => room !== -1);
  const rooms = Uint32Array.from(numbers).sort();
  const members = new Map<string, string[]>();
  for (let first = 0; first < directory.usersEnd && rooms.length > 0; first += usersPerSearchStep) {
    const list = await shards.list(first, first + usersPerSearchStep, rooms);
    for (let at = 0; at < list.length; at += 2 + list[at + 1]) {
      const userId = directory.users.names.text(list[at]);
      for (const room of list.subarray(at + 2, at + 2 + list[at + 1])) {
        const roomId = directory.rooms.names.text(room);
        const those = members.get(roomId);
        if (those === undefined) members.set(roomId, [userId]);
        else those.push(userId);
      }
    }
    await setImmediate();
  }
  return members;
}

/**
 * How many are joined to each room, and the sum of a hash of each of them, counted anew from the sets that questions are
 * answered from. Rooms that are changed meanwhile come out wrong.
 */
export async function sumRooms(
  { directory, shards }: Parts,
  hashOf?: (userId: string) => number,
): Promise<RoomTotals> {
  const sums = RoomSums.of(directory.rooms.names);
  const { names } = directory.users;
  for (let first = 1; first < directory.usersEnd; first += usersPerListStep) {
    const hashes = new Int32Array(Math.min(usersPerListStep, directory.usersEnd - first));
    for (let index = 0; hashOf !== undefined && index < hashes.length; index += 1) {
      if (index % usersPerHashStep === 0) await setImmediate();
      hashes[index] = hashOf(names.text(first + index));
    }
    await shards.sum(first, hashes, sums);
    await setImmediate();
  }
  return new RoomTotals(sums, directory.rooms);
}

/** How many are joined to each room, as the shards have counted with every change. Cost: 4 bytes a room, no look at a user. */
export async function countMembers({ directory, shards }: Parts): Promise<MemberCounts> {
  const counts: Uint32Array[] = [];
  for (let partition = 0; partition < partitionCount; partition += 1) {
    counts.push(await shards.members(partition));
    await setImmediate();
  }
  return new MemberCounts(directory, counts);
}

export class MemberCounts {
  readonly #directory: Directory;
  /** By partition and sequence. */
  readonly #counts: readonly Uint32Array[];

  constructor(directory: Directory, counts: readonly Uint32Array[]) {
    this.#directory = directory;
    this.#counts = counts;
  }

  countOf(roomId: string): number {
    const room = this.#directory.rooms.find(roomId);
    if (room === -1) return 0;
    const partition = partitionOf(room);
    // A room that got its number since has nobody here.
    return this.#counts[partition].at(room - firstRoomOf(partition)) ?? 0;
  }

  /** The rooms that have members. */
  *roomIds(): Generator<string> {
    for (const [partition, counts] of this.#counts.entries()) {
      const first = firstRoomOf(partition);
      for (let sequence = 0; sequence < counts.length; sequence += 1)
        if (counts[sequence] > 0) yield this.#directory.rooms.names.text(first + sequence);
    }
  }
}
