/**
 * The plots of bench/scale.ts, each from what was measured: with the peers that the same run asked, and what no index of its
 * kind can be below.
 */
import { formatNumber } from '../harness.js';
import type { PeerResult, PeersResult } from '../peers.js';
import type { Plot } from '../plot.js';
import type { ChangesAnswer } from './changes.js';
import type { InlineAnswer, SizedTime } from './inline.js';

const mebibyte = 2 ** 20;

export function queryTimePlot(users: number, growth: readonly SizedTime[]): Plot {
  const besideMap = growth.flatMap(({ large, mapMicroseconds: time }) =>
    time === undefined ? [] : [[large, time] as const],
  );
  return {
    title: 'A first page by names, by the size of the larger set',
    subtitle: `10 rooms with 100 to 100,000, among ${formatNumber(users)} users; the Map holds these alone`,
    x: { label: 'rooms of the larger set', log: true },
    y: { label: 'µs', log: false },
    series: [
      {
        name: 'this index',
        points: growth.map(({ large, microseconds: time }) => [large, time] as const),
        line: true,
      },
      ...(besideMap.length === 0 ? [] : [{ name: 'a JS Map of Sets', points: besideMap, line: true }]),
    ],
    limits: [{ label: 'target of the mean', y: 5 }],
  };
}

export interface Sized {
  readonly users: number;
  readonly rooms: number;
  readonly answer: Pick<InlineAnswer, 'loaded' | 'residentBytes' | 'nameBytes'>;
}

/** @param peers measured at one of the sizes, where they were */
export function memoryPlot(measured: readonly Sized[], peers?: PeersResult): Plot {
  const dots = (peers?.peers ?? []).slice(1).flatMap(({ name, bytesPerMembership }) =>
    bytesPerMembership === null || peers === undefined
      ? []
      : [
          {
            name,
            points: [[peers.memberships, (bytesPerMembership * peers.memberships) / mebibyte] as const],
          },
        ],
  );
  return {
    title: 'Memory, by population',
    subtitle:
      'This index: all of the process, Node included. Peers: what they grew by, or say.\nThe limit: the IDs as they are written, once each, and nothing else.',
    x: { label: 'memberships', log: true },
    y: { label: 'MiB', log: true },
    series: [
      {
        name: 'this index',
        points: measured.map(
          ({ answer: { loaded, residentBytes } }) => [loaded.memberships, residentBytes / mebibyte] as const,
        ),
        line: true,
      },
      {
        name: 'the IDs alone (limit)',
        points: measured.map(({ users, rooms, answer: { loaded, nameBytes } }) => {
          const bytes = users * nameBytes.user + rooms * nameBytes.room;
          return [loaded.memberships, bytes / mebibyte] as const;
        }),
        line: true,
      },
      ...dots,
    ],
  };
}

/** @param points of shards and first pages a second @param peers at the same size, where they were measured */
export function throughputPlot(
  users: number,
  points: readonly (readonly [shards: number, perSecond: number])[],
  cores: number,
  peers?: PeersResult,
): Plot {
  const rateOf = ({ firstPage }: PeerResult): number => firstPage.pipelinedPerSecond ?? firstPage.perSecond;
  return {
    title: 'First pages a second, by shards',
    subtitle: [
      `${formatNumber(users)} users, ${cores} cores, 256 questions under way; 0 shards is the thread of the caller.`,
      'It falls with shards that have no core of their own: the threads take turns, and a',
      'question waits for each shard that it asks. More cores than shards are what they need.',
    ].join('\n'),
    x: { label: 'shards', ticks: points.map(([shards]) => shards) },
    y: { label: 'first pages/s', log: true },
    series: [{ name: 'this index', points, line: true }],
    limits: (peers?.peers ?? []).slice(1).map((peer) => ({
      label: peer.where === 'in process, by numbers' ? `${peer.name} by numbers, without names` : peer.name,
      y: rateOf(peer),
    })),
  };
}

export function latencyPlot(answer: ChangesAnswer): Plot {
  const phases = [
    ['at rest', answer.rest],
    ['100,000 changes/s', answer.underChange],
    ['beside bots', answer.besideBots],
  ] as const;
  /** One question in so many takes longer: the median, the 99th and the 99.9th percentile. */
  const oneIn = [2, 100, 1_000] as const;
  return {
    title: 'A question while the data changes, one shard',
    subtitle: 'median, 99th and 99.9th percentile, from when it was due to its answer',
    x: { label: 'one question in so many takes longer', log: true },
    y: { label: 'µs', log: true },
    series: phases.map(
      ([
        name,
        {
          questions: { p50, p99, p999 },
        },
      ]) => ({
        name,
        points: oneIn.map((count, index) => [count, [p50, p99, p999][index]] as const),
        line: true,
      }),
    ),
    limits: [{ label: 'target: one in 100 beside bots', y: 2_000 }],
  };
}
