/**
 * A shard owns the memberships in the rooms of a contiguous range of partitions. Two implementations, one contract
 * suite: inline (same thread) and pooled (a worker thread of its own). The engine is the only caller.
 *
 * It follows the log, of each commit the changes in its rooms. Calls take effect in the order in which they are made: what
 * `follow` was given before an `ask` is seen by it.
 * When a call is refused with UNAVAILABLE, the shard has lost its memberships and refuses every later one too: an
 * answer is whole or it is none.
 */
import { PublicError } from '../base/errors.js';
import type { PartitionRange } from '../base/ids.js';
import type { Names } from '../directory/names.js';
import type { Follower } from '../log/commit.js';
import type { LoadedSets, StoredState } from '../store/load.js';
import type { Progress } from '../store/store.js';
import type { RoomSums } from './room-sums.js';
import type { Answers, ShardStats } from './wire.js';

export interface ShardOptions {
  readonly partitions: PartitionRange;
  /** Of the rooms. */
  readonly names: Names;
  /** Called once, when the shard has failed. */
  readonly onFailure?: ((reason: string) => void) | undefined;
}

export interface Shard extends Follower {
  readonly partitions: PartitionRange;
  /** Why the shard cannot answer, or undefined while it can. */
  readonly failure: string | undefined;
  /**
   * Takes in what a store holds of the shard's partitions: once, and first of all. It follows from the next commit on.
   * @param path of the store's file
   * @param expected what the file must still be; else it is refused
   */
  load(path: string, onProgress: Progress, expected?: StoredState): Promise<LoadedSets>;
  /** @param questions as wire.ts lays them out */
  ask(questions: Uint32Array): Promise<Answers>;
  /**
   * The same at once, where the shard is on the caller's thread: no promise and no copy.
   * @returns views of scratch memory that the next call overwrites
   */
  askNow?(questions: Uint32Array): Answers;
  /**
   * Who is where, of the users from `first` to `end`.
   * @param rooms only these, ascending; without them all
   * @returns [user, count, rooms...] of each who has any, users and rooms ascending
   */
  list(first: number, end: number, rooms?: Uint32Array): Promise<Uint32Array>;
  /** Adds the users from `first` on, one for each hash, to the sums of their rooms. */
  sum(first: number, hashes: Int32Array, sums: RoomSums): Promise<void>;
  /** How many are joined to each room of a partition, by its sequence; rooms behind the last one have nobody. */
  members(partition: number): Promise<Uint32Array>;
  stats(): Promise<ShardStats>;
  close(): Promise<void>;
}

/** What `failure` says of a shard that was ended on purpose. */
export const closed = 'closed';

/** What is thrown instead of an answer. @param failure why the shard cannot answer */
export function shardUnavailable(failure: string, cause?: unknown): PublicError {
  if (failure === closed) return new PublicError('UNAVAILABLE', 'the engine is closed');
  return new PublicError('UNAVAILABLE', `a shard has lost its memberships (${failure})`, {
    retryAfterSeconds: 30,
    cause,
  });
}
