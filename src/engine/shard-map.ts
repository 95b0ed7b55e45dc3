/**
 * Which shard has which room, and changes cut by it.
 */
import { partitionOf, partitionRanges, type PartitionRange, type RoomNo, type UserNo } from '../base/ids.js';

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

  /**
   * @param changes as shard/wire.ts lays them out
   * @param onJoin told of each join, where there is more than one shard
   * @returns those of each shard, in order
   */
  split(changes: Uint32Array, onJoin?: (user: UserNo, shard: number) => void): Uint32Array[] {
    if (this.ranges.length === 1) return [changes];
    const shardAt = (at: number): number => this.shardOf((changes[at + 1] >>> 1) as RoomNo);
    const lengths = this.ranges.map(() => 0);
    for (let at = 0; at < changes.length; at += 2) lengths[shardAt(at)] += 2;
    const byShard = lengths.map((length) => new Uint32Array(length));
    const ends = lengths.fill(0);
    for (let at = 0; at < changes.length; at += 2) {
      const shard = shardAt(at);
      if ((changes[at + 1] & 1) === 1) onJoin?.(changes[at] as UserNo, shard);
      byShard[shard][ends[shard]++] = changes[at];
      byShard[shard][ends[shard]++] = changes[at + 1];
    }
    return byShard;
  }
}
