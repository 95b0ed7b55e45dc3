/**
 * What does it cost to keep the index on disk? Changes by names through the ingest, a single change while others write, a
 * start, and what goes over all of a store; beside it the limit, a scan of the tables that looks at no record.
 *
 * How to read it: µs a change are processor time of a thread. Ratios and processor times hold on a machine that others use
 * too; rates and latencies do not. What waits for the disk is this machine's disk.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { runChild } from './child.js';
import { formatNumber, type RunOptions } from './harness.js';
import { printSection, type Section } from './results.js';
import { noteFact } from './verdict.js';
import type { MadeStore, MakingOrder } from './store/made-store.js';
import type { Restart, RestartOrder } from './store/restart-process.js';
import type { WholeStore, WholeStoreOrder } from './store/whole-store.js';
import type { Singles, Sustained, Writing, WritingOrder } from './store/writing-process.js';

export interface StoreCase {
  readonly users: number;
  readonly rooms: number;
  /** All memberships by names and in random order, or made directly and so many random changes behind them. */
  readonly changes: 'all' | number;
  /** Numbers of shards to start with. */
  readonly shards: readonly number[];
  /** Of each phase with single changes; 0 leaves them out. */
  readonly seconds: number;
}

export interface MeasuredRestart extends Restart {
  readonly shards: number;
  readonly when: string;
}

export interface MeasuredStore {
  readonly memberships: number;
  readonly users: number;
  readonly writing: Writing;
  readonly restarts: readonly MeasuredRestart[];
  readonly whole: Readonly<Record<WholeStoreOrder['work'], WholeStore>>;
}

/** As a server is started: V8's own sizes. */
const writingShards = 1;

export async function measureStore({
  users,
  rooms,
  changes,
  shards,
  seconds,
}: StoreCase): Promise<MeasuredStore> {
  const directory = mkdtempSync(join(tmpdir(), 'store-bench-'));
  const restarts: MeasuredRestart[] = [];
  const restart = async (count: number, when: string): Promise<void> => {
    const order: RestartOrder = { directory, shards: count };
    restarts.push({ shards: count, when, ...(await runChild<Restart>(file('restart-process'), order)) });
  };
  try {
    if (changes !== 'all') {
      const making: MakingOrder = { directory, users, rooms };
      await runChild<MadeStore>(file('made-store'), making);
      for (const count of shards) await restart(count, 'made in order');
    }
    const order: WritingOrder = { directory, users, rooms, shards: writingShards, changes, seconds };
    const writing = await runChild<Writing>(file('writing-process'), order);
    for (const count of changes === 'all' ? shards : [writingShards]) await restart(count, 'after changes');
    const whole: Partial<Record<WholeStoreOrder['work'], WholeStore>> = {};
    for (const work of ['read', 'scan', 'probe', 'compact'] as const) {
      const wholeOrder: WholeStoreOrder = { directory, work };
      whole[work] = await runChild<WholeStore>(file('whole-store'), wholeOrder);
    }
    await restart(writingShards, 'compacted');
    const { memberships } = restarts[restarts.length - 1];
    return { memberships, users, writing, restarts, whole: whole as MeasuredStore['whole'] };
  } finally {
    rmSync(directory, { recursive: true, force: true });
  }
}

export function storeSections(measured: MeasuredStore): Section[] {
  const { memberships, users, writing, restarts, whole } = measured;
  const of = `${formatNumber(memberships)} memberships of ${formatNumber(users)} users`;
  const last = restarts[restarts.length - 1];
  return [
    {
      title: `Changes by names into a store: ${of}`,
      text: 'Four callers, 500 changes a list, each on the disk when it is answered; one shard.',
      header: ['', 'changes/s', 'longest list', 'main, µs each', 'store', 'shard', 'B a membership'],
      rows: [sustainedCells(writing.sustained, writing.bytes / writing.memberships)],
      data: measured,
    },
    ...(writing.alone === undefined ? [] : [singlesSection(of, writing)]),
    {
      title: `A start: ${of}`,
      text: `\`× scan\` is against the processor time of reading all records and looking at none. Memory without what is mapped of the file.`,
      header: [
        'shards, store',
        'ready',
        'names',
        'room sets',
        'user shards',
        'main CPU',
        'other CPU',
        '× scan',
        'MiB',
      ],
      rows: restarts.map((each) => restartCells(each, whole.scan.cpuSeconds)),
    },
    {
      title: `All of the store: ${of}`,
      header: ['', 'time', 'CPU of the process', '× scan', 'file, MiB'],
      rows: [
        wholeCells('read the file', whole.read, whole.scan),
        wholeCells(`scan ${formatNumber(whole.scan.records)} records`, whole.scan, whole.scan),
        wholeCells('read in a process of its own before a server opens it', whole.probe, whole.scan),
        wholeCells('compaction', whole.compact, whole.scan),
        [
          `start, ${last.shards} shard`,
          seconds(last.loadSeconds),
          seconds(cpuOf(last)),
          times(last.loadSeconds / whole.scan.seconds),
          '',
        ],
      ],
    },
  ];
}

function sustainedCells(sustained: Sustained, bytes: number): string[] {
  const { changes, mainCpuSeconds, otherCpuSeconds, longestListMs } = sustained;
  const [store = 0, shard = 0] = otherCpuSeconds;
  const each = (cpuSeconds: number): string => formatNumber((cpuSeconds * 1e6) / changes);
  return [
    `${formatNumber(changes)} changes`,
    formatNumber(changes / sustained.seconds),
    milliseconds(longestListMs),
    ...[mainCpuSeconds, store, shard].map(each),
    formatNumber(bytes),
  ];
}

function singlesSection(of: string, { alone, paced, unpaced }: Writing): Section {
  const row = (name: string, singles: Singles | undefined): string[][] =>
    singles === undefined
      ? []
      : [
          [
            name,
            ...[singles.times.p50, singles.times.p99, singles.times.p999, singles.times.most].map((time) =>
              milliseconds(time / 1000),
            ),
            `${singles.refused}`,
            singles.changesPerSecond === 0 ? '' : formatNumber(singles.changesPerSecond),
          ],
        ];
  return {
    title: `A single change, 500 a second: ${of}`,
    text: 'From when it was due until it was on the disk and every question sees it.',
    header: ['', 'p50', 'p99', 'p99.9', 'longest', 'refused', 'changes/s of the others'],
    rows: [
      ...row('nobody else writes', alone),
      ...row('four others write 100,000 changes/s', paced),
      ...row('four others write what they can', unpaced),
    ],
  };
}

function restartCells(restart: MeasuredRestart, scanSeconds: number): string[] {
  const { shards, when, readySeconds, namesSeconds, setsSeconds, userShardsSeconds } = restart;
  const { mainCpuSeconds, otherCpuSeconds, memoryBytes } = restart;
  return [
    `${shards === 0 ? 'inline' : shards}, ${when}`,
    ...[readySeconds, namesSeconds, setsSeconds, userShardsSeconds, mainCpuSeconds].map(seconds),
    otherCpuSeconds
      .slice(0, Math.max(1, shards))
      .map((each) => each.toFixed(2))
      .join(' + '),
    times(cpuOf(restart) / scanSeconds),
    formatNumber(memoryBytes / 2 ** 20),
  ];
}

function cpuOf({ mainCpuSeconds, otherCpuSeconds }: Restart): number {
  return otherCpuSeconds.reduce((sum, each) => sum + each, mainCpuSeconds);
}

function wholeCells(name: string, whole: WholeStore, scan: WholeStore): string[] {
  return [
    name,
    seconds(whole.seconds),
    seconds(whole.cpuSeconds),
    times(whole.seconds / scan.seconds),
    formatNumber(whole.bytes / 2 ** 20),
  ];
}

function seconds(value: number): string {
  return `${value.toFixed(2)} s`;
}

function milliseconds(value: number): string {
  return `${value.toFixed(1)} ms`;
}

function times(ratio: number): string {
  return `${formatNumber(ratio)} ×`;
}

function file(name: string): URL {
  return new URL(`./store/${name}.ts`, import.meta.url);
}

export async function run({ smoke }: RunOptions): Promise<void> {
  const cases: StoreCase[] = smoke
    ? [
        { users: 2_000, rooms: 500, changes: 'all', shards: [0, 1], seconds: 0.2 },
        { users: 2_000, rooms: 500, changes: 5_000, shards: [1], seconds: 0 },
      ]
    : [
        { users: 100_000, rooms: 10_000, changes: 'all', shards: [0, 1, 2], seconds: 0 },
        // More than two generations of what is folded together.
        { users: 1_000_000, rooms: 100_000, changes: 2_200_000, shards: [0, 1, 2], seconds: 2 },
      ];
  for (const each of cases) {
    const measured = await measureStore(each);
    for (const section of storeSections(measured)) printSection(section);
    const { memberships, writing, restarts, whole } = measured;
    const { changes, seconds: took } = writing.sustained;
    const { readySeconds, shards } = restarts[restarts.length - 1];
    noteFact(
      `a store of ${formatNumber(memberships)} memberships takes ${formatNumber(changes / took)} changes a second, and a start from it on ${shards} shard takes ${seconds(readySeconds)}: ${formatNumber(readySeconds / whole.scan.seconds)} times a scan of its records, the limit`,
    );
  }
}
