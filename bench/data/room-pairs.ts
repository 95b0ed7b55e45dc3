/**
 * Which rooms do benches intersect? Sets as a shard has them: a million rooms, spread evenly over its partitions, dense
 * within each, and half of the smaller set's rooms common.
 */
import { seededRandom } from '../harness.js';

const roomsInAll = 2 ** 20;

export interface Pair {
  readonly left: Uint32Array;
  readonly right: Uint32Array;
}

/** The room at a place in rank order, when the rooms lie in the first `partitions` partitions. */
function roomAt(index: number, partitions: number): number {
  const perPartition = roomsInAll / partitions;
  return Math.floor(index / perPartition) * 2 ** 25 + (index % perPartition);
}

/** Pairs of ascending sets. @param partitions a power of two: 64 in one shard, fewer when shards share them */
export function pairsOf(pairCount: number, leftCount: number, rightCount: number, partitions = 64): Pair[] {
  const random = seededRandom(leftCount * 31 + rightCount);
  const small = Math.min(leftCount, rightCount);
  const common = Math.ceil(small / 2);
  return Array.from({ length: pairCount }, () => {
    const drawn = new Set<number>();
    while (drawn.size < leftCount + rightCount - common) drawn.add(random(roomsInAll));
    const rooms = Array.from(drawn, (index) => roomAt(index, partitions));
    const left = Uint32Array.from(rooms.slice(0, leftCount)).sort();
    const right = Uint32Array.from([...rooms.slice(0, common), ...rooms.slice(leftCount)]).sort();
    return { left, right };
  });
}

/** As many pairs as keep a run short, and no fewer than defeat the branch predictor when sets are small. */
export function pairCountFor(memberCount: number): number {
  return Math.max(2, Math.min(256, Math.floor(100_000 / memberCount)));
}
