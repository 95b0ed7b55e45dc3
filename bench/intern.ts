/**
 * What does a name cost, in time and in memory, against a `Map<string, number>`?
 *
 * How to read it: the names looked up are fresh strings, as a request brings them, so a Map cannot use a hash that an
 * earlier look-up left in the string. Memory is what the process grew by, measured in a process of its own.
 */
import { userInterner } from '#dist/directory/interner';
import { runChild } from './child.js';
import { checksumCell, compare, formatNumber, printTable, ratioCells } from './harness.js';
import { seededRandom, type Random, type RunOptions } from './harness.js';
import type { InternKind, MemoryAnswer, MemoryOrder } from './intern-memory.js';
import { UserIds } from './data/user-ids.js';
import { noteTimings, noteVerdict } from './verdict.js';

/** Names looked up in one timed run. */
const lookupsPerRun = 10_000;

/** A fixed key: the table is laid out alike in each run. */
const fixedKey = (size: number): Buffer => Buffer.alloc(size, 0x5a);

/** Adds up what was found: numbers are from 1 in both, -1 is none. */
function sumOf(names: readonly string[], find: (name: string) => number): number {
  let sum = 0;
  for (const name of names) sum = (sum + find(name)) | 0;
  return sum;
}

function insertCells(count: number, timeMs: number): string[] {
  const ids = new UserIds(count);
  let names: string[] = [];
  const before = (): void => {
    names = Array.from({ length: count }, (_, index) => ids.fresh(index));
  };
  const interner = {
    name: 'the interner',
    before,
    run: () => {
      const users = userInterner(fixedKey);
      return sumOf(names, (name) => users.intern(name));
    },
  };
  const map = {
    name: 'a JS Map',
    before,
    run: () => {
      const numbers = new Map<string, number>();
      return sumOf(names, (name) => {
        const number = numbers.size + 1;
        numbers.set(name, number);
        return number;
      });
    },
  };
  const comparison = compare([interner, map], count, timeMs);
  noteTimings(`inserting ${formatNumber(count)} names`, comparison.timings);
  return ratioCells(comparison);
}

/** @returns the cells of names that are there, then those of names that are not */
function lookupCells(count: number, timeMs: number, random: Random): { found: string[]; missed: string[] } {
  const ids = new UserIds(count * 2);
  const users = userInterner(fixedKey);
  const numbers = new Map<string, number>();
  for (let index = 0; index < count; index += 1) {
    users.intern(ids.fresh(index));
    numbers.set(ids.fresh(index), index + 1);
  }
  const cellsFrom = (first: number): string[] => {
    const asked = Array.from({ length: lookupsPerRun }, () => first + random(count));
    let names: string[] = [];
    const before = (): void => {
      names = asked.map((index) => ids.fresh(index));
    };
    const interner = { name: 'the interner', before, run: () => sumOf(names, (name) => users.find(name)) };
    const map = { name: 'a JS Map', before, run: () => sumOf(names, (name) => numbers.get(name) ?? -1) };
    const comparison = compare([interner, map], lookupsPerRun, timeMs);
    const what = first === 0 ? 'finding' : 'missing';
    noteTimings(`${what} a name among ${formatNumber(count)}`, comparison.timings);
    return ratioCells(comparison);
  };
  return { found: cellsFrom(0), missed: cellsFrom(count) };
}

async function memoryOf(kind: InternKind, count: number): Promise<MemoryAnswer> {
  const order: MemoryOrder = { kind, count };
  return runChild(new URL('intern-memory.ts', import.meta.url), order, ['--max-semi-space-size=1']);
}

async function memoryCells(count: number): Promise<string[]> {
  const interner = await memoryOf('interner', count);
  const map = await memoryOf('Map', count);
  if (interner.checksum !== map.checksum) throw new Error(`interner and Map disagree about ${count} names`);
  noteVerdict(
    `memory of ${formatNumber(count)} names`,
    [
      { name: 'the interner', cost: interner.bytes },
      { name: 'a JS Map', cost: map.bytes },
    ],
    'smaller',
  );
  return [
    formatNumber(interner.bytes / count),
    formatNumber(map.bytes / count),
    `${formatNumber(map.bytes / interner.bytes)} times as much`,
    formatNumber(interner.nameBytes / count),
    checksumCell(interner.checksum),
  ];
}

export async function run({ smoke }: RunOptions): Promise<void> {
  const counts = smoke ? [10_000] : [100_000, 1_000_000];
  const timeMs = smoke ? 20 : 300;
  const random = seededRandom(11);
  const rows = counts.flatMap((count) => {
    const label = count.toLocaleString('en-US');
    const { found, missed } = lookupCells(count, timeMs, random);
    return [
      [`insert each of ${label}`, ...insertCells(count, timeMs)],
      [`find one of ${label}`, ...found],
      [`miss among ${label}`, ...missed],
    ];
  });
  printTable('Time a name', ['names', 'interner', 'Map', 'checksum'], rows);
  const memory: string[][] = [];
  for (const count of counts) memory.push([count.toLocaleString('en-US'), ...(await memoryCells(count))]);
  printTable(
    'Memory a name, in bytes of the process',
    ['names', 'interner', 'Map', 'Map to interner', 'the name itself', 'checksum'],
    memory,
  );
}
