/** What the feed counts and measures, of this process, as `/ready` and Prometheus say it. */
import type { Metric } from '../../base/metric.js';

export interface FeedFigures {
  /** The highest stream id that was read. */
  readonly position: number;
  /** Stream ids below it that have not appeared yet. */
  readonly gapsOpen: number;
  /** Ids that never appeared, and are not looked for any more. */
  readonly gapsRetired: number;
  /** Rows that were read: memberships copied, and those that changes touched. */
  readonly rowsRead: number;
  /** Memberships that came to be otherwise, copies left out. */
  readonly changesMade: number;
  /** How often all memberships were copied. */
  readonly copies: number;
  readonly reconciled: ReconcileFigures;
  /** Whether Redis is listened to; undefined where none is configured. */
  readonly redisUp: boolean | undefined;
}

/** Comparisons with the database. */
export interface ReconcileFigures {
  readonly runs: number;
  readonly sweeps: number;
  readonly roomsCompared: number;
  /** Rooms that were changed meanwhile, and so not compared. */
  readonly roomsSkipped: number;
  /** Rooms that a sweep found purged. */
  readonly roomsPurged: number;
  /** Rooms that differed without a reason, and how many memberships were put right there. */
  readonly roomsDrifted: number;
  readonly membershipsRepaired: number;
  readonly last: { readonly atMs: number; readonly seconds: number } | undefined;
}

/** In the words of JSON. */
export function detailsOf({ reconciled, redisUp, ...figures }: FeedFigures): Record<string, unknown> {
  return {
    position: figures.position,
    gaps_open: figures.gapsOpen,
    gaps_retired: figures.gapsRetired,
    rows_read: figures.rowsRead,
    changes_made: figures.changesMade,
    copies: figures.copies,
    reconcile: {
      runs: reconciled.runs,
      sweeps: reconciled.sweeps,
      rooms_compared: reconciled.roomsCompared,
      rooms_skipped: reconciled.roomsSkipped,
      rooms_purged: reconciled.roomsPurged,
      rooms_drifted: reconciled.roomsDrifted,
      memberships_repaired: reconciled.membershipsRepaired,
      last_at: reconciled.last === undefined ? null : new Date(reconciled.last.atMs).toISOString(),
      last_seconds: reconciled.last?.seconds ?? null,
    },
    ...(redisUp === undefined ? {} : { redis_up: redisUp }),
  };
}

type Described = readonly [name: string, help: string, read: (figures: FeedFigures) => number];

const gauges: readonly Described[] = [
  ['mutual_rooms_source_position', 'The highest stream id that was read.', ({ position }) => position],
  [
    'mutual_rooms_source_gaps_open',
    'Stream ids below it that have not appeared yet. A few for a moment: normal. Many for long: a writer died, or hangs.',
    ({ gapsOpen }) => gapsOpen,
  ],
  [
    'mutual_rooms_source_reconciled_timestamp_seconds',
    'When the last reconciliation ended, in seconds since 1970; 0 before the first one.',
    ({ reconciled }) => (reconciled.last?.atMs ?? 0) / 1000,
  ],
];

const redisGauge: Described = [
  'mutual_rooms_source_redis_up',
  '1 while Redis is listened to, 0 while it is not; absent where none is configured.',
  ({ redisUp }) => (redisUp === true ? 1 : 0),
];

const counters: readonly Described[] = [
  [
    'mutual_rooms_source_gaps_retired_total',
    'Stream ids that never appeared, and are not looked for any more.',
    ({ gapsRetired }) => gapsRetired,
  ],
  ['mutual_rooms_source_rows_read_total', 'Rows that were read from the source.', ({ rowsRead }) => rowsRead],
  [
    'mutual_rooms_source_changes_total',
    'Memberships that changed by what the source told, copies left out.',
    ({ changesMade }) => changesMade,
  ],
  ['mutual_rooms_source_copies_total', 'How often all memberships were copied.', ({ copies }) => copies],
  [
    'mutual_rooms_source_reconciliations_total',
    'Comparisons of all rooms with the source.',
    ({ reconciled }) => reconciled.runs,
  ],
  ['mutual_rooms_source_sweeps_total', 'Searches for purged rooms.', ({ reconciled }) => reconciled.sweeps],
  [
    'mutual_rooms_source_rooms_compared_total',
    'Rooms that were compared with the source.',
    ({ reconciled }) => reconciled.roomsCompared,
  ],
  [
    'mutual_rooms_source_rooms_skipped_total',
    'Rooms that changed during a reconciliation, and so were not compared in it.',
    ({ reconciled }) => reconciled.roomsSkipped,
  ],
  [
    'mutual_rooms_source_rooms_purged_total',
    'Rooms that a sweep found purged.',
    ({ reconciled }) => reconciled.roomsPurged,
  ],
  [
    'mutual_rooms_source_rooms_drifted_total',
    'Rooms in which the index was not what the source has, without a reason. Purges that a reconciliation finds count; nothing else should happen.',
    ({ reconciled }) => reconciled.roomsDrifted,
  ],
  [
    'mutual_rooms_source_memberships_repaired_total',
    'Memberships that were put right in those rooms.',
    ({ reconciled }) => reconciled.membershipsRepaired,
  ],
];

/** Those of Redis are there only where one is configured. */
export function metricsOf(feed: { readonly figures: FeedFigures }): Metric[] {
  const metric =
    (kind: Metric['kind']) =>
    ([name, help, read]: Described): Metric => ({ name, help, kind, read: () => read(feed.figures) });
  const hasRedis = feed.figures.redisUp !== undefined;
  return [
    ...[...gauges, ...(hasRedis ? [redisGauge] : [])].map(metric('gauge')),
    ...counters.map(metric('counter')),
  ];
}
