/**
 * Is the made-up homeserver believable? Its distributions beside those of real membership graphs with published figures
 * (data/public-graphs.ts), and where it departs from all of them.
 *
 * How to read it: P of the users is the balanced inequality ratio, the share of the users, heaviest first, who hold all
 * but that share of the memberships: 0.16 of the users have 0.84 of them. The bars are complementary distributions, log
 * against log, so a power law's edge is straight. In the plots the line is the made-up one; each public graph has two
 * dots: its mean, above all, and its most, which one in all has at least, so it lies on its own curve.
 *
 * Cost: half a second for a million memberships, and 12 bytes a room.
 */
import { join } from 'node:path';
import { readConditions } from './conditions.js';
import { Degrees } from './data/degrees.js';
import { Population, populationParameters } from './data/population.js';
import { publicGraphs, type PublicGraph } from './data/public-graphs.js';
import { consume, formatNumber, type RunOptions } from './harness.js';
import { writePlot, type Plot } from './plot.js';
import { printSection, writeResults, type Section } from './results.js';

interface Description {
  readonly sections: readonly Section[];
  readonly plots: Readonly<Record<'rooms-per-user' | 'members-per-room', Plot>>;
}

export async function run({ smoke, folder }: RunOptions): Promise<void> {
  const conditions = readConditions(smoke);
  const size = smoke ? { users: 20_000, rooms: 2_000 } : { users: 1_000_000, rooms: 100_000 };
  const { sections, plots } = describePopulation(new Population(size));
  for (const section of sections) printSection(section);
  if (folder === undefined) return;
  await writeResults(folder, 'population', { conditions, sections });
  for (const [name, plot] of Object.entries(plots)) await writePlot(join(folder, `${name}.svg`), plot);
}

/** Goes once through all users. */
export function describePopulation(population: Population): Description {
  const { users, rooms } = degreesOf(population);
  consume(users.sum);
  return {
    sections: [
      graphSection(users, rooms, population),
      distributionSection('Rooms a user', 'users', users),
      { ...distributionSection('Members a room', 'rooms', rooms), text: sizesOf(rooms, population) },
      parameterSection(population),
    ],
    plots: {
      'rooms-per-user': distributionPlot(
        'Rooms a user',
        users,
        ({ users: count, userMost, memberships }) => ({
          count,
          most: userMost,
          sum: memberships,
        }),
      ),
      'members-per-room': distributionPlot(
        'Members a room',
        rooms,
        ({ rooms: count, roomMost, memberships }) => ({
          count,
          most: roomMost,
          sum: memberships,
        }),
      ),
    },
  };
}

function degreesOf(population: Population): { users: Degrees; rooms: Degrees } {
  const histogram = new Map<number, number>();
  const members = new Uint32Array(population.rooms);
  for (let user = 0; user < population.users; user += 1) {
    const rooms = population.roomsOf(user);
    histogram.set(rooms.length, (histogram.get(rooms.length) ?? 0) + 1);
    for (let index = 0; index < rooms.length; index += 1) members[rooms[index]] += 1;
  }
  return { users: new Degrees(histogram), rooms: Degrees.tally(members) };
}

interface Measure {
  readonly name: string;
  readonly of: (graph: PublicGraph) => number | null;
  readonly format: (value: number) => string;
  /** Why ours is beyond all others on that side. */
  readonly above?: string;
  readonly below?: string;
}

const whole = (value: number): string => value.toLocaleString('en-US');

const sizes: readonly Measure[] = [
  { name: 'users', of: ({ users }) => users, format: whole },
  { name: 'rooms', of: ({ rooms }) => rooms, format: whole },
  { name: 'memberships', of: ({ memberships }) => memberships, format: whole },
];

const shapes: readonly Measure[] = [
  {
    name: 'rooms a user, mean',
    of: ({ memberships, users }) => ratio(memberships, users),
    format: formatNumber,
  },
  {
    name: 'rooms a user, most',
    of: ({ userMost }) => userMost,
    format: whole,
    above: 'The users in most rooms are bots and bridges, which groups of a social network do not have.',
  },
  {
    name: 'P of the users',
    of: ({ userInequality }) => userInequality,
    format: formatNumber,
    below: 'The chance of at least k rooms falls as 1/k, from one room to thousands, and bots are in more.',
  },
  {
    name: 'members a room, mean',
    of: ({ memberships, rooms }) => ratio(memberships, rooms),
    format: formatNumber,
    above:
      'The size to be reached is 10 million users, 1 million rooms and 100 million memberships: 100 members a room.',
  },
  { name: 'members a room, most', of: ({ roomMost }) => roomMost, format: whole },
  { name: 'that, of all users', of: ({ roomMost, users }) => ratio(roomMost, users), format: percent },
  { name: 'P of the rooms', of: ({ roomInequality }) => roomInequality, format: formatNumber },
];

function graphSection(users: Degrees, rooms: Degrees, population: Population): Section {
  const ours: PublicGraph = {
    name: 'made up',
    source: `seed ${population.seed}`,
    users: users.count,
    rooms: rooms.count,
    memberships: users.sum,
    userMost: users.most,
    roomMost: rooms.most,
    userInequality: users.inequality(),
    roomInequality: rooms.inequality(),
  };
  const graphs = [ours, ...publicGraphs];
  const cells = ({ of, format }: Measure): string[] =>
    graphs.map((graph) => {
      const value = of(graph);
      return value === null ? '–' : format(value);
    });
  const departures = shapes.flatMap((measure) => {
    const place = placeOf(ours, measure);
    if (place === 'within') return [];
    const reason = place === 'above all' ? measure.above : measure.below;
    return [`- ${measure.name}: ${place}. ${reason ?? ''}`.trim()];
  });
  return {
    title: 'The made-up homeserver beside public graphs',
    text: [
      `Ours departs from all of them in ${departures.length} of ${shapes.length} measures:`,
      '',
      ...departures,
    ].join('\n'),
    header: ['', ...graphs.map(({ name }) => name), 'ours is'],
    rows: [
      ...sizes.map((measure) => [measure.name, ...cells(measure), '']),
      ...shapes.map((measure) => [measure.name, ...cells(measure), placeOf(ours, measure)]),
    ],
    data: graphs,
  };
}

function placeOf(ours: PublicGraph, { of }: Measure): 'below all' | 'above all' | 'within' {
  const value = of(ours)!;
  const others = publicGraphs.map(of).filter((other) => other !== null);
  if (value < Math.min(...others)) return 'below all';
  return value > Math.max(...others) ? 'above all' : 'within';
}

function ratio(part: number | null, whole: number): number | null {
  return part === null ? null : part / whole;
}

function percent(share: number): string {
  return `${formatNumber(share * 100)} %`;
}

/** Every degree of 1, 2 and 5 times a power of ten up to the most, each with a bar of the logarithm. */
function distributionSection(title: string, of: string, degrees: Degrees): Section {
  const rows: (readonly [least: number, count: number])[] = [];
  for (let power = 1; power <= degrees.most; power *= 10) {
    for (const least of [power, power * 2, power * 5]) {
      if (least <= degrees.most) rows.push([least, degrees.atLeast(least)]);
    }
  }
  const bar = (count: number): string =>
    '█'.repeat(Math.round((barLength * Math.log(count)) / Math.log(degrees.count)));
  return {
    title,
    header: [`${of} with at least so many, log`, 'at least', of, 'share'],
    rows: rows.map(([least, count]) => [
      bar(count),
      whole(least),
      whole(count),
      percent(count / degrees.count),
    ]),
    data: { count: degrees.count, sum: degrees.sum, atLeast: rows },
  };
}

const barLength = 60;

function sizesOf(rooms: Degrees, population: Population): string {
  const share = (least: number, end: number): string =>
    percent((rooms.atLeast(least) - rooms.atLeast(end)) / rooms.count);
  return [
    `Of the rooms, ${share(1, 5)} have 1 to 4 members, ${share(5, 10)} have 5 to 9, ${share(10, 100)} have 10 to 99.`,
    `${whole(population.rooms - rooms.count)} more have none and are left out.`,
  ].join(' ');
}

function parameterSection({ users, rooms, seed, bots }: Population): Section {
  const parameters = { users, rooms, seed, bots, ...populationParameters };
  return {
    title: 'Parameters (what each does: data/population.ts)',
    header: ['parameter', 'value'],
    rows: Object.entries(parameters).map(([name, value]) => [name, whole(value)]),
    data: parameters,
  };
}

/** Points of the curve for every power of ten. */
const pointsPerDecade = 16;

function distributionPlot(
  title: string,
  degrees: Degrees,
  sideOf: (graph: PublicGraph) => { count: number; most: number | null; sum: number | null },
): Plot {
  const steps = Math.ceil(Math.log10(degrees.most) * pointsPerDecade);
  const leasts = Array.from({ length: steps }, (_, step) => Math.round(10 ** (step / pointsPerDecade)));
  const curve = [...new Set([...leasts, degrees.most])].sort((left, right) => left - right);
  const dots = publicGraphs.flatMap((graph) => {
    const { count, most, sum } = sideOf(graph);
    if (most === null || sum === null) return [];
    return [
      {
        name: graph.name,
        points: [
          [sum / count, 1],
          [most, 1 / count],
        ] as const,
      },
    ];
  });
  return {
    title,
    subtitle:
      'Line: the made-up homeserver.\nDots: public graphs; on the upper edge their mean, below their most.',
    x: { label: title.toLowerCase(), log: true },
    y: { label: 'share with at least so many', log: true },
    series: [
      {
        name: 'made up',
        line: true,
        points: curve.map((least) => [least, degrees.atLeast(least) / degrees.count]),
      },
      ...dots,
    ],
  };
}
