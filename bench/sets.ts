/**
 * What does an intersection cost, by size, against the plain ways? And are the constants of src/sets/thresholds.ts right?
 *
 * How to read it: the columns of the peers say how many times slower or faster each is than "index", which is what a shard runs:
 * either form, chosen by size. A run asks about many pairs, so small sets are warm in the cache and their branches are not learnt.
 */
import roaring from 'roaring';
import { Intersection } from '#dist/sets/intersection';
import { RoomSets } from '#dist/sets/room-sets';
import { roomsPerPageMax } from '#dist/base/limits';
import { gallopRatio, packedCountMax, probeCountMax } from '#dist/sets/thresholds';
import { compare, printTable, ratioCells, type RunOptions } from './harness.js';
import { pairCountFor, pairsOf, type Pair } from './data/room-pairs.js';
import { runThresholds } from './thresholds.js';
import { noteTimings } from './verdict.js';
import {
  anyByMerge,
  anyInSets,
  countByMerge,
  countInSets,
  mergeInto,
  setIntersection,
} from './plain-intersections.js';

const { RoaringBitmap32 } = roaring;

const sizes = [1, 3, 10, 30, 100, 300, 512, 1000, 10_000, 100_000];
const skews = [1, 10, 100];
const peers = ['JS Set', 'plain merge', 'roaring'];

/** The same pairs in the form that each contestant wants. */
function formsOf(pairs: readonly Pair[]) {
  const sets = new RoomSets();
  const handleOf = (rooms: Uint32Array): number => rooms.reduce((handle, room) => sets.add(handle, room), 0);
  return {
    pairs,
    intersection: new Intersection(sets),
    handles: pairs.map(({ left, right }) => ({ left: handleOf(left), right: handleOf(right) })),
    sets: pairs.map(({ left, right }) => ({ left: new Set(left), right: new Set(right) })),
    bitmaps: pairs.map(({ left, right }) => ({
      left: new RoaringBitmap32(left),
      right: new RoaringBitmap32(right),
    })),
    target: new Uint32Array(pairs[0].left.length),
  };
}

type Forms = ReturnType<typeof formsOf>;

/** Depends on how many rooms there are, and on the last of the first page: little work, and wrong answers show. */
function digest(count: number, last: number): number {
  return (Math.imul(count, 31) + last) | 0;
}

/** One page of the common rooms with their total; the peers make all of them. */
function make({ pairs, intersection, handles, sets, bitmaps, target }: Forms) {
  return [
    {
      name: 'this index',
      run: () => {
        let sum = 0;
        for (const { left, right } of handles) {
          intersection.ofTwo(left, right, 0, roomsPerPageMax);
          sum += digest(intersection.count, intersection.rooms[intersection.taken - 1]);
        }
        return sum;
      },
    },
    {
      name: 'a JS Set',
      run: () => {
        let sum = 0;
        for (const { left, right } of sets) {
          const common = Array.from(setIntersection(left, right));
          sum += digest(common.length, common[Math.min(common.length, roomsPerPageMax) - 1]);
        }
        return sum;
      },
    },
    {
      name: 'a plain merge',
      run: () => {
        let sum = 0;
        for (const { left, right } of pairs) {
          const count = mergeInto(left, right, target);
          sum += digest(count, target[Math.min(count, roomsPerPageMax) - 1]);
        }
        return sum;
      },
    },
    {
      name: 'Roaring',
      run: () => {
        let sum = 0;
        for (const { left, right } of bitmaps) {
          const common = RoaringBitmap32.and(left, right);
          const rooms = common.toUint32Array();
          common.dispose();
          sum += digest(rooms.length, rooms[Math.min(rooms.length, roomsPerPageMax) - 1]);
        }
        return sum;
      },
    },
  ];
}

/** How many rooms are common. */
function count({ pairs, intersection, handles, sets, bitmaps }: Forms) {
  return [
    {
      name: 'this index',
      run: () => {
        let sum = 0;
        for (const { left, right } of handles) {
          intersection.ofTwo(left, right, 0, 0);
          sum += intersection.count;
        }
        return sum;
      },
    },
    { name: 'a JS Set', run: () => sets.reduce((sum, { left, right }) => sum + countInSets(left, right), 0) },
    {
      name: 'a plain merge',
      run: () => pairs.reduce((sum, { left, right }) => sum + countByMerge(left, right), 0),
    },
    {
      name: 'Roaring',
      run: () => bitmaps.reduce((sum, { left, right }) => sum + left.andCardinality(right), 0),
    },
  ];
}

/** Whether any room is common. */
function any({ pairs, intersection, handles, sets, bitmaps }: Forms) {
  return [
    {
      name: 'this index',
      run: () => handles.reduce((sum, { left, right }) => sum + Number(intersection.any(left, right)), 0),
    },
    {
      name: 'a JS Set',
      run: () => sets.reduce((sum, { left, right }) => sum + Number(anyInSets(left, right)), 0),
    },
    {
      name: 'a plain merge',
      run: () => pairs.reduce((sum, { left, right }) => sum + Number(anyByMerge(left, right)), 0),
    },
    {
      name: 'Roaring',
      run: () => bitmaps.reduce((sum, { left, right }) => sum + Number(left.intersects(right)), 0),
    },
  ];
}

/** Pairs without a common room: the answer no, which looks at everything. */
function disjoint(pairs: readonly Pair[]): Pair[] {
  return pairs.map(({ left, right }) => {
    const members = new Set(left);
    return { left, right: right.filter((room) => !members.has(room)) };
  });
}

/** Sizes of which the verdict speaks. */
const asked = [10, 1_000, 100_000];

const sizeInWords = (size: number, skew: number): string =>
  skew === 1
    ? `sets of ${size.toLocaleString('en-US')}`
    : `${(size / skew).toLocaleString('en-US')} with ${size.toLocaleString('en-US')}`;

function runTable(
  title: string,
  question: string,
  contestantsOf: (forms: Forms) => ReturnType<typeof count>,
  shapes: readonly { size: number; skew: number }[],
  timeMs: number,
  change = (pairs: Pair[]): Pair[] => pairs,
): void {
  const rows = shapes.map(({ size, skew }) => {
    const forms = formsOf(change(pairsOf(pairCountFor(size), Math.max(1, size / skew), size)));
    const comparison = compare(contestantsOf(forms), forms.pairs.length, timeMs);
    const cells = ratioCells(comparison);
    if (asked.includes(size)) noteTimings(`${question}, ${sizeInWords(size, skew)}`, comparison.timings);
    for (const { left, right } of forms.bitmaps) {
      left.dispose();
      right.dispose();
    }
    return [`${forms.pairs[0].left.length} with ${forms.pairs[0].right.length}`, ...cells];
  });
  printTable(title, ['rooms', 'index', ...peers, 'checksum'], rows);
}

export function run({ smoke }: RunOptions): void {
  const timeMs = smoke ? 2 : 80;
  const sizesRun = smoke ? [3, 512, 1000] : sizes;
  const shapes = skews.flatMap((skew) =>
    sizesRun.filter((size) => size % skew === 0).map((size) => ({ size, skew })),
  );
  const equal = sizesRun.filter((size) => size >= 10).map((size) => ({ size, skew: 1 }));
  console.log(`packedCountMax ${packedCountMax}, gallopRatio ${gallopRatio}, probeCountMax ${probeCountMax}`);
  runTable(
    `Common rooms, a page of at most ${roomsPerPageMax.toLocaleString('en-US')} and the total`,
    'making the common rooms',
    make,
    shapes,
    timeMs,
  );
  runTable('How many rooms are common', 'counting the common rooms', count, equal, timeMs);
  runTable(
    'Is any room common? (yes: half of them are)',
    'finding out that a room is common',
    any,
    equal,
    timeMs,
  );
  runTable('Is any room common? (no)', 'finding out that none is common', any, equal, timeMs, disjoint);
  runThresholds({ smoke });
}
