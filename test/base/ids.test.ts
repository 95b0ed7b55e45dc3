/** Do numbers carry their partition, and do the shards' ranges cover every partition once? */
import { expect, test } from 'vitest';
import { firstRoomOf, partitionCount, partitionOf, partitionRanges, roomNoEnd } from '../../src/base/ids.js';
import type { RoomNo } from '../../src/base/ids.js';

test('a RoomNo is a small integer that carries its partition', () => {
  expect(roomNoEnd).toBe(2 ** 31 - 1);
  for (let partition = 0; partition < partitionCount; partition += 1) {
    const first = firstRoomOf(partition);
    expect(partitionOf(first)).toBe(partition);
    expect(partitionOf((first + 2 ** 25 - 1) as RoomNo)).toBe(partition);
  }
});

test('ranges are contiguous, complete and of nearly equal sizes for every number of shards', () => {
  for (let shardCount = 1; shardCount <= partitionCount; shardCount += 1) {
    const ranges = partitionRanges(shardCount);
    const sizes = ranges.map(({ first, end }) => end - first);
    expect(ranges).toHaveLength(shardCount);
    expect(ranges.map(({ first }) => first)).toEqual([0, ...ranges.slice(0, -1).map(({ end }) => end)]);
    expect(ranges.at(-1)?.end).toBe(partitionCount);
    expect(Math.max(...sizes) - Math.min(...sizes)).toBeLessThanOrEqual(1);
    expect(Math.min(...sizes)).toBeGreaterThanOrEqual(1);
  }
});
