/**
 * Which shard has which room, and changes cut by it.
 */
import { partitionOf, partitionRanges, type PartitionRange, type RoomNo, type UserNo } from '../base/ids.js';
import { isJoin, roomOf, userAt, wordAt, wordsPerChange } from '../log/changes.js';

export class ShardMap {
  readonly ranges: readonly PartitionRange[];
  readonly #shardOfPartition: Uint8Array;

  /** @param shards at least one */
  constructor(shards: number) {
    this.ranges = partitionRanges(shards);
    this.#shardOfPartition = Uint8Array.from(
      this.ranges.flatMap(({ first, end }, shard) => new Array<number>(end - first).fill(shard)),
    );
  }

  shardOf(room: RoomNo): number {
    return this.#shardOfPartition[partitionOf(room)];
  }

  shardOfPartition(partition: number): number {
    return this.#shardOfPartition[partition];
  }

  /**
   * @param changes as log/changes.ts lays them out
   * @param onJoin told of each join, where there is more than one shard
   * @returns those of each shard, in order
   */
  split(changes: Uint32Array, onJoin?: (user: UserNo, shard: number) => void): Uint32Array[] {
    if (this.ranges.length === 1) return [changes];
    const shardAt = (at: number): number => this.shardOf(roomOf(wordAt(changes, at)));
    const lengths = this.ranges.map(() => 0);
    for (let at = 0; at < changes.length; at += wordsPerChange) lengths[shardAt(at)] += wordsPerChange;
    const byShard = lengths.map((length) => new Uint32Array(length));
    const ends = lengths.fill(0);
    for (let at = 0; at < changes.length; at += wordsPerChange) {
      const shard = shardAt(at);
      if (isJoin(wordAt(changes, at))) onJoin?.(userAt(changes, at), shard);
      byShard[shard][ends[shard]++] = userAt(changes, at);
      byShard[shard][ends[shard]++] = wordAt(changes, at);
    }
    return byShard;
  }
}
