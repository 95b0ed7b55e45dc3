/**
 * Where should a room set change its form, and an intersection its way? Each table runs both sides of one constant of
 * src/sets/thresholds.ts on the same pairs; the constant belongs where the ratio passes 1.
 *
 * Rooms of one shard lie in all 64 partitions, or in 16 of them when four shards share the rooms: the fewer, the fewer
 * containers a bitmap has.
 */
import roaring from 'roaring';
import { gallopRatio, packedCountMax, probeCountMax } from '#dist/sets/thresholds';
import { bitmapCopy, bitmapIntersection, bitmapOf } from '#dist/sets/bitmap';
import { RunView } from '#dist/sets/packed-runs';
import { intersectRuns, mergeRuns, searchRun } from '../src/sets/run-intersection.js';
import {
  compare,
  formatNumber,
  printTable,
  ratioCells,
  type Contestant,
  type RunOptions,
} from './harness.js';
import { pairCountFor, pairsOf } from './data/room-pairs.js';

const target = new Uint32Array(4096);
const unpacked = new Uint32Array(100_000);

function viewOf(words: Uint32Array): RunView {
  const view = new RunView();
  view.words = words;
  view.count = words.length;
  return view;
}

/** Runs one way over all items, and adds up the counts and last rooms that it leaves in `target`. */
function contestant<Item>(name: string, items: readonly Item[], way: (item: Item) => number): Contestant {
  return {
    name,
    run: () => {
      let sum = 0;
      for (const item of items) {
        const count = way(item);
        sum += count * 31 + (count === 0 ? 0 : target[count - 1]);
      }
      return sum | 0;
    },
  };
}

/** `packedCountMax`: two sets of one size, as runs that are merged and as bitmaps that Roaring intersects. */
function packedOrBitmap({ smoke }: RunOptions, timeMs: number): void {
  const sizes = smoke ? [512] : [256, 512, 1024, 1536, 2048, 3072, 4096];
  const rows = sizes.flatMap((size) =>
    [64, 16, 1].map((partitions) => {
      const pairs = pairsOf(pairCountFor(size), size, size, partitions);
      const runs = pairs.map(({ left, right }) => ({ left: viewOf(left), right: viewOf(right) }));
      const bitmaps = pairs.map(({ left, right }) => ({ left: bitmapOf(left), right: bitmapOf(right) }));
      const cells = ratioCells(
        compare(
          [
            contestant('packed', runs, ({ left, right }) => mergeRuns(left, right, target)),
            contestant('bitmap', bitmaps, ({ left, right }) => {
              const common = bitmapIntersection(left, right);
              const count = bitmapCopy(common, 0, common.size, target);
              common.dispose();
              return count;
            }),
          ],
          pairs.length,
          timeMs,
        ),
      );
      const bytes = bitmaps[0].left.getSerializationSizeInBytes('portable');
      for (const { left, right } of bitmaps) {
        left.dispose();
        right.dispose();
      }
      return [`${size} in ${partitions}`, ...cells, formatNumber(bytes / size)];
    }),
  );
  printTable(
    `packedCountMax (now ${packedCountMax}): two packed sets merged, or two bitmaps`,
    ['rooms in partitions', 'packed', 'bitmap', 'checksum', 'bitmap bytes a room'],
    rows,
  );
}

/** `gallopRatio`: two packed sets, merged or the longer one searched. */
function mergeOrSearch({ smoke }: RunOptions, timeMs: number): void {
  const shapes = smoke
    ? [{ size: 512, ratio: 8 }]
    : [64, 512, 2048].flatMap((size) => [2, 4, 6, 8, 12, 16, 32, 64].map((ratio) => ({ size, ratio })));
  const rows = shapes.map(({ size, ratio }) => {
    const runs = pairsOf(256, Math.max(1, Math.floor(size / ratio)), size).map(({ left, right }) => ({
      left: viewOf(left),
      right: viewOf(right),
    }));
    const cells = ratioCells(
      compare(
        [
          contestant('merge', runs, ({ left, right }) => mergeRuns(left, right, target)),
          contestant('search', runs, ({ left, right }) => searchRun(left, right, target)),
        ],
        runs.length,
        timeMs,
      ),
    );
    return [`1 : ${ratio} of ${size}`, ...cells];
  });
  printTable(
    `gallopRatio (now ${gallopRatio}): the longer run merged, or searched`,
    ['lengths', 'merge', 'search', 'checksum'],
    rows,
  );
}

/**
 * `probeCountMax`: a packed set with a bitmap, asked for one by one or made a bitmap first. Unpacking the bitmap instead
 * wins only between long runs and bitmaps of few thousand rooms: the intersection does not do it.
 */
function probeOrConvert({ smoke }: RunOptions, timeMs: number): void {
  const shapes = smoke
    ? [{ size: 1000, count: 32 }]
    : [1000, 2000, 5000, 20_000, 100_000].flatMap((size) =>
        [8, 16, 32, 64, 128, 256, 512].map((count) => ({ size, count })),
      );
  const rows = shapes.map(({ size, count }) => {
    const pairs = pairsOf(Math.min(32, pairCountFor(size)), count, size).map(({ left, right }) => ({
      run: left,
      bitmap: new roaring.RoaringBitmap32(right),
    }));
    const cells = ratioCells(
      compare(
        [
          contestant('one by one', pairs, ({ run, bitmap }) => {
            let found = 0;
            for (let index = 0; index < run.length; index += 1) {
              if (bitmap.has(run[index])) target[found++] = run[index];
            }
            return found;
          }),
          contestant('converted', pairs, ({ run, bitmap }) => {
            const common = bitmapOf(run);
            common.andInPlace(bitmap);
            const found = bitmapCopy(common, 0, common.size, target);
            common.dispose();
            return found;
          }),
          contestant('unpacked', pairs, ({ run, bitmap }) => {
            const rooms = bitmap.size;
            bitmapCopy(bitmap, 0, rooms, unpacked);
            return intersectRuns(viewOf(run), viewOf(unpacked.subarray(0, rooms)), target);
          }),
        ],
        pairs.length,
        timeMs,
      ),
    );
    for (const { bitmap } of pairs) bitmap.dispose();
    return [`${count} with ${size}`, ...cells];
  });
  printTable(
    `probeCountMax (now ${probeCountMax}): packed with bitmap, asked one by one, converted, or the bitmap unpacked`,
    ['rooms', 'one by one', 'converted', 'unpacked', 'checksum'],
    rows,
  );
}

export function runThresholds(options: RunOptions): void {
  const timeMs = options.smoke ? 2 : 60;
  packedOrBitmap(options, timeMs);
  mergeOrSearch(options, timeMs);
  probeOrConvert(options, timeMs);
}
