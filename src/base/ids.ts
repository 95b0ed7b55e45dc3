/**
 * The two numbers that interning gives out, and how a RoomNo is put together.
 *
 * A RoomNo is the room's partition in its high 6 bits and a sequence number within that partition in its low 25 bits.
 * It stays below 2^31, so V8 keeps it as a small integer, and the rooms of one partition are dense in Roaring's
 * 16-bit containers. Rank order is ascending RoomNo.
 */

declare const brand: unique symbol;

/** Number of a user ID: dense, from 1. `nobody` (0) is never given out. */
export type UserNo = number & { readonly [brand]: 'UserNo' };

/** Number of a room ID: partition * 2^25 + sequence. */
export type RoomNo = number & { readonly [brand]: 'RoomNo' };

/** The user that nobody is: joined to nothing. Unknown users are asked for under this number, so that they look like any other. */
export const nobody = 0 as UserNo;

/**
 * Users are numbered below 2^26: a shard has a slot for the set of each (sets/packed-runs.ts), so it never runs out of slots after a
 * change was committed. Who would be one too many is refused before.
 */
export const userBits = 26;

export const partitionCount = 64;
export const sequenceBits = 25;
const sequenceCountMax = 2 ** sequenceBits;

/** One past the last RoomNo there can be: one below 2^31, so that a RoomNo + 1 is below it too (sets/packed-runs.ts). */
export const roomNoEnd = partitionCount * sequenceCountMax - 1;

export function partitionOf(room: RoomNo): number {
  return room >>> sequenceBits;
}

export function firstRoomOf(partition: number): RoomNo {
  return (partition * sequenceCountMax) as RoomNo;
}

/** A contiguous range of partitions: `first` included, `end` not. */
export interface PartitionRange {
  readonly first: number;
  readonly end: number;
}

/** Splits all partitions into `shardCount` contiguous ranges whose sizes differ by at most one. */
export function partitionRanges(shardCount: number): PartitionRange[] {
  return Array.from({ length: shardCount }, (_, shard) => ({
    first: Math.floor((shard * partitionCount) / shardCount),
    end: Math.floor(((shard + 1) * partitionCount) / shardCount),
  }));
}
