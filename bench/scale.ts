/**
 * Does the index hold the largest homeserver, and how fast? `npm run bench:scale -- [--users N] [--only PART,...] [--smoke]
 * [--save]` runs each part in processes of its own. With `--save` it writes what it found to `bench/results/`: `scale.md` and
 * `scale.json`, and plots. Written anew after each part, so that an end before the end leaves what there is. Parts that are
 * asked for alone are written under a name of their own.
 *
 * The full size is ten million users, a million rooms, a hundred million memberships (bench/data/population.ts). It takes
 * about three quarters of an hour, 14 GiB of memory for the Map that it is compared with, and 5 GB of disk for PostgreSQL.
 */
import { cpus } from 'node:os';
import { parseArgs } from 'node:util';
import { runChild } from './child.js';
import { describeConditions, readConditions } from './conditions.js';
import { Population } from './data/population.js';
import { formatNumber } from './harness.js';
import { httpRatios, httpSection, type HttpRatio } from './http.js';
import { comparePeers, peersSections, type PeersResult } from './peers.js';
import { writePlot, type Plot } from './plot.js';
import { describePopulation } from './population.js';
import { printSection, writeResults, type Section } from './results.js';
import { measureStore, storeSections } from './store.js';
import { latencyPlot, memoryPlot, queryTimePlot, throughputPlot } from './scale/plots.js';
import type { MapOrder } from './scale/beside-map.js';
import type { ChangesAnswer, ChangesOrder, Phase } from './scale/changes.js';
import type { InlineAnswer, InlineOrder } from './scale/inline.js';
import type { Distribution } from './scale/latencies.js';
import type { ShardedAnswer, ShardedOrder } from './scale/sharded.js';

const folder = 'bench/results';
const partNames = [
  'inline',
  'sizes',
  'shards',
  'changes',
  'store',
  'http',
  'peers',
  'map',
  'population',
] as const;
type PartName = (typeof partNames)[number];

/** The largest young generation that V8 takes when it is asked for nothing special. */
const nodeOptions = ['--max-semi-space-size=16'];

interface Target {
  readonly what: string;
  readonly target: string;
  readonly measured: string;
  readonly isMet: boolean;
}

class Scale {
  readonly #users: number;
  readonly #smoke: boolean;
  readonly #targets: Target[] = [];
  readonly #sections: Section[] = [];
  readonly #plots: Record<string, () => Plot> = {};
  #inline: InlineAnswer | undefined;
  #peers: PeersResult | undefined;

  constructor(users: number, smoke: boolean) {
    this.#users = users;
    this.#smoke = smoke;
  }

  get sections(): Section[] {
    const targets = {
      title: 'Targets',
      header: ['', 'target', 'measured', 'met'],
      rows: this.#targets.map(({ what, target, measured, isMet }) => [
        ...[what, target, measured, isMet ? 'yes' : '**no**'],
      ]),
    };
    return [targets, ...this.#sections];
  }

  async run(part: PartName): Promise<void> {
    await this[part]();
  }

  async inline(): Promise<void> {
    const answer = await this.#inlineOf(this.#users);
    this.#inline = answer;
    const { loaded, firstPage, bots } = answer;
    const bytes = answer.residentBytes / loaded.memberships;
    this.#add('memory, one thread', '≤ 12 B a membership', `${bytes.toFixed(2)} B`, bytes <= 12);
    const rate = loaded.memberships / loaded.seconds;
    this.#add('bulk load, by names', '≥ 1 M memberships/s', `${formatNumber(rate)}/s`, rate >= 1e6);
    this.#add('first page by names, mean', '≤ 5 µs', microseconds(firstPage.mean), firstPage.mean <= 5);
    this.#add('first page by names, p99', '≤ 20 µs', microseconds(firstPage.p99), firstPage.p99 <= 20);
    this.#add(
      'shares a room, batched, by numbers, on one core, among a million users',
      '≥ 1.56 M/s on all',
      `${formatNumber(answer.sharesByNumbers)}/s`,
      answer.sharesByNumbers >= 1.56e6,
    );
    this.#add(
      'the same by names (`sharesMany`)',
      '≥ 600 k/s a core',
      `${formatNumber(answer.sharesManyByNames)}/s`,
      answer.sharesManyByNames >= 600_000,
    );
    const steps = answer.growth
      .slice(1)
      .map((each, index) => each.microseconds / answer.growth[index].microseconds);
    const worst = Math.max(...steps);
    this.#add(
      'the larger side 10 times larger',
      '≤ 1.3 times the time',
      `${worst.toFixed(2)} ×`,
      worst <= 1.3,
    );
    this.#add('two bots in 100,000 rooms, first page', '≤ 200 µs', microseconds(bots.mean), bots.mean <= 200);
    this.#sections.push(
      {
        title: 'Memory, one thread',
        text: `${formatNumber(loaded.memberships)} memberships of ${formatNumber(this.#users)} users. User IDs have ${formatNumber(answer.nameBytes.user)} bytes on average, room IDs ${formatNumber(answer.nameBytes.room)}. The process had ${formatNumber(answer.residentBytesAtStart / 2 ** 20)} MiB before (node, tsx, the population), which is in the total.`,
        header: ['part', 'MiB', 'bytes a membership'],
        rows: [
          ...Object.entries(answer.bytes).map(([part, size]) => [
            part,
            formatNumber(size / 2 ** 20),
            (size / loaded.memberships).toFixed(2),
          ]),
          ['all that is resident', formatNumber(answer.residentBytes / 2 ** 20), bytes.toFixed(2)],
        ],
        data: answer,
      },
      {
        title: 'A question, one thread',
        text: `Pairs as clients would ask about them (bench/data/pairs.ts): ${formatNumber(answer.common.mean)} common rooms on average, none for ${percent(answer.common.none)}, more than a page for ${percent(answer.common.paged)}, the 99th percentile is ${answer.common.p99}.`,
        header: ['', 'mean', 'p50', 'p99', 'p99.9', 'longest'],
        rows: [
          ['first page by names, token included', ...distributionCells(firstPage)],
          ['of two bots in 100,000 rooms each', ...distributionCells(bots)],
        ],
      },
      {
        title: 'A small set with ever larger ones, first page by names',
        header: ['rooms', 'time', 'against the size before'],
        rows: answer.growth.map(({ small, large, microseconds: time }, index) => [
          `${small} with ${large.toLocaleString('en-US')}`,
          microseconds(time),
          index === 0 ? '' : `${formatNumber(steps[index - 1])} ×`,
        ]),
      },
    );
    this.#plots['query-time'] = () => queryTimePlot(this.#users, answer.growth);
  }

  /** The same at a hundredth and a tenth of the size: what does a larger population cost? */
  async sizes(): Promise<void> {
    const counts = [100, 10].map((part) => Math.floor(this.#users / part));
    const measured: { users: number; answer: InlineAnswer }[] = [];
    for (const users of counts) measured.push({ users, answer: await this.#inlineOf(users) });
    measured.push({ users: this.#users, answer: this.#inline ?? (await this.#inlineOf(this.#users)) });
    const worst = Math.max(
      ...measured
        .slice(1)
        .map(({ answer }, index) => answer.firstPage.mean / measured[index].answer.firstPage.mean),
    );
    this.#add(
      'a 10 times larger population, mean',
      '≤ 1.5 times the time',
      `${worst.toFixed(2)} ×`,
      worst <= 1.5,
    );
    this.#sections.push({
      title: 'By population, one thread',
      header: ['users', 'memberships', 'B a membership', 'loaded/s', 'first page, mean', 'p50', 'p99'],
      rows: measured.map(({ users, answer: { loaded, residentBytes, firstPage } }) => [
        users.toLocaleString('en-US'),
        formatNumber(loaded.memberships),
        formatNumber(residentBytes / loaded.memberships),
        formatNumber(loaded.memberships / loaded.seconds),
        ...[firstPage.mean, firstPage.p50, firstPage.p99].map(microseconds),
      ]),
      data: measured,
    });
    this.#plots.memory = () =>
      memoryPlot(
        measured.map(({ users, answer }) => ({ ...this.#population(users), answer })),
        this.#peers,
      );
  }

  async shards(): Promise<void> {
    const counts = [1, 4];
    const measured: { shards: number; answer: ShardedAnswer }[] = [];
    for (const shards of counts) {
      const order: ShardedOrder = { ...this.#population(this.#users), shards, ...this.#pairs() };
      measured.push({ shards, answer: await runChild<ShardedAnswer>(file('sharded'), order, nodeOptions) });
    }
    const bytesOf = (index: number): number =>
      measured[index].answer.residentBytes / measured[index].answer.loaded.memberships;
    const more = bytesOf(1) / bytesOf(0) - 1;
    this.#add('memory from 1 to 4 shards', '≤ +10 %', `+${percent(more)}`, more <= 0.1);
    this.#sections.push({
      title: 'Worker threads',
      text: `First pages are asked for ${measured[0].answer.underWay} at a time, from the thread that also numbers names and puts pages together.`,
      header: ['shards', 'B a membership', 'loaded/s', 'first pages/s'],
      rows: measured.map(({ shards, answer }, index) => [
        `${shards}`,
        bytesOf(index).toFixed(2),
        formatNumber(answer.loaded.memberships / answer.loaded.seconds),
        formatNumber(answer.firstPagesPerSecond),
      ]),
      data: measured,
    });
    // More shards than full ones are compared at a tenth of the size, or this part would take an hour.
    const throughput: (readonly [number, number])[] = [];
    for (const shards of [0, 1, 2, 4, 8]) {
      const order: ShardedOrder = { ...this.#population(this.#users / 10), shards, ...this.#pairs() };
      const answer = await runChild<ShardedAnswer>(file('sharded'), order, nodeOptions);
      throughput.push([shards, answer.firstPagesPerSecond]);
    }
    this.#sections.push({
      title: 'First pages a second by shards, at a tenth of the users',
      text: 'It falls with shards that have no core of their own: the threads take turns, and a question waits for each shard that it asks.',
      header: ['shards', 'first pages/s'],
      rows: throughput.map(([shards, rate]) => [shards === 0 ? 'inline' : `${shards}`, formatNumber(rate)]),
    });
    this.#plots.throughput = () => throughputPlot(this.#users / 10, throughput, cpus().length, this.#peers);
  }

  async changes(): Promise<void> {
    const measured: { shards: number; answer: ChangesAnswer }[] = [];
    for (const shards of [0, 1]) {
      const order: ChangesOrder = {
        ...this.#population(this.#users / 10),
        ...{ shards, changesPerSecond: 100_000, seconds: this.#smoke ? 1 : 8 },
      };
      measured.push({ shards, answer: await runChild<ChangesAnswer>(file('changes'), order) });
    }
    for (const { shards, answer } of measured) {
      const { rest, underChange, underLongLists, besideBots } = answer;
      const where = shards === 0 ? 'inline' : `${shards} shard`;
      const ratio = underChange.questions.p99 / rest.questions.p99;
      const isReached = underChange.changesPerSecond >= 95_000;
      this.#add(
        `p99 under 100,000 changes/s, ${where}`,
        '≤ 2 times that at rest',
        `${ratio.toFixed(2)} ×`,
        ratio <= 2 && isReached,
      );
      const pause = Math.max(underChange.longestPauseMs, underLongLists.longestPauseMs);
      this.#add(`longest pause under changes, ${where}`, '≤ 10 ms', `${pause.toFixed(1)} ms`, pause <= 10);
      const wait = besideBots.questions.p99 / 1000;
      this.#add(`p99 of others beside two bots, ${where}`, '≤ 2 ms', `${wait.toFixed(2)} ms`, wait <= 2);
    }
    const row = (name: string, { questions, longestPauseMs, changesPerSecond }: Phase): string[] => [
      name,
      ...distributionCells(questions),
      `${longestPauseMs.toFixed(1)} ms`,
      changesPerSecond === 0 ? '' : formatNumber(changesPerSecond),
    ];
    this.#sections.push({
      title: 'Questions while the data changes',
      text: `From when a question was due to its answer, 2,000 a second at random moments, ${formatNumber(this.#users / 10)} users.`,
      header: ['', 'mean', 'p50', 'p99', 'p99.9', 'longest', 'longest pause', 'changes/s'],
      rows: measured.flatMap(({ shards, answer: { rest, underChange, underLongLists, besideBots } }) => {
        const where = shards === 0 ? 'inline' : `${shards} shard`;
        return [
          row(`${where}, at rest`, rest),
          row(`${where}, 100,000 changes/s, a list a millisecond`, underChange),
          row(`${where}, 100,000 changes/s, ten lists a second`, underLongLists),
          row(`${where}, two bots asked about 200 times a second`, besideBots),
        ];
      }),
      data: measured,
    });
    this.#plots['latency-under-change'] = () => latencyPlot(measured[1].answer);
  }

  async store(): Promise<void> {
    const { users, rooms } = this.#population(this.#users);
    const tenth = this.#population(this.#users / 10);
    const phase = this.#smoke ? 0.5 : 8;
    const changes = this.#smoke ? 20_000 : 2_500_000;
    const full = await measureStore({ users, rooms, changes, shards: [1, 0, 2, 4], seconds: phase });
    this.#sections.push(...storeSections(full));
    const imported = await measureStore({ ...tenth, changes: 'all', shards: [1, 0], seconds: phase });
    this.#sections.push(...storeSections(imported));
    for (const restart of full.restarts) {
      const { shards, when, readySeconds } = restart;
      const what = `start, ${shards === 0 ? 'inline' : `${shards} shards`}, a store ${when}`;
      this.#add(what, '≤ 10 s', `${readySeconds.toFixed(1)} s`, readySeconds <= 10);
    }
    for (const { users: count, writing } of [full, imported]) {
      const among = `among ${formatNumber(count)} users`;
      const rate = writing.sustained.changes / writing.sustained.seconds;
      this.#add(`changes into the store, ${among}`, '≥ 100,000/s', `${formatNumber(rate)}/s`, rate >= 1e5);
      const p99 = (writing.paced?.times.p99 ?? NaN) / 1000;
      const isReached = (writing.paced?.changesPerSecond ?? 0) >= 95_000;
      this.#add(
        `p99 of a single change under 100,000/s, ${among}`,
        '≤ 5 ms',
        `${p99.toFixed(1)} ms${isReached ? '' : ', rate not reached'}`,
        p99 <= 5 && isReached,
      );
    }
  }

  async http(): Promise<void> {
    const measured = await httpRatios(this.#smoke, { rooms: [1, 10, 100], seconds: 2 });
    const median = ({ ratios }: HttpRatio): number => ratios[ratios.length >> 1];
    for (const each of measured) {
      const target = { 10: 0.75, 100: 0.6 }[each.rooms];
      if (target === undefined) continue;
      const where = each.shards === 0 ? 'inline' : `${each.shards} shard`;
      this.#add(
        `HTTP, ${each.rooms} rooms, ${where}`,
        `≥ ${target} of bare node:http`,
        formatNumber(median(each)),
        median(each) >= target,
      );
    }
    this.#sections.push(httpSection(measured));
  }

  /** At a tenth of the size: what Redis and PostgreSQL hold, and load in minutes. */
  async peers(): Promise<void> {
    const { users, rooms } = this.#population(this.#users / 10);
    this.#peers = await comparePeers({
      ...{ users, rooms, pairCount: 2_000 },
      timeMs: this.#smoke ? 20 : 1_500,
    });
    this.#sections.push(...peersSections(this.#peers));
  }

  async map(): Promise<void> {
    const order: MapOrder = { ...this.#population(this.#users), pairs: 4_000 };
    const result = await runChild<PeersResult>(file('beside-map'), order, [
      ...nodeOptions,
      '--max-old-space-size=16384',
    ]);
    const [ours, map] = result.peers;
    const ratio = ours.firstPage.perSecond / map.firstPage.perSecond;
    this.#add(
      `first page, against a Map of Sets of ${formatNumber(result.users)} users`,
      '≥ 3 times the rate',
      `${ratio.toFixed(2)} ×`,
      ratio >= 3,
    );
    this.#sections.push(
      ...peersSections(result).map((section) => ({
        ...section,
        title: section.title.replace('Beside peers', 'Beside a Map of Sets of everybody'),
      })),
    );
  }

  async population(): Promise<void> {
    const { sections, plots } = describePopulation(new Population(this.#population(this.#users)));
    this.#sections.push(...sections);
    for (const [name, plot] of Object.entries(plots)) this.#plots[name] = () => plot;
  }

  async #inlineOf(users: number): Promise<InlineAnswer> {
    const order: InlineOrder = { ...this.#population(users), ...this.#pairs() };
    return runChild<InlineAnswer>(file('inline'), order, nodeOptions);
  }

  #population(users: number): { users: number; rooms: number } {
    const whole = Math.floor(users);
    return { users: whole, rooms: Math.max(1_000, Math.round(whole / 10)) };
  }

  #pairs(): { pairs: number; passes: number } {
    return this.#smoke ? { pairs: 500, passes: 1 } : { pairs: 10_000, passes: 3 };
  }

  #add(what: string, target: string, measured: string, isMet: boolean): void {
    this.#targets.push({ what, target, measured, isMet });
  }

  /** All plots there are so far: peers that are measured later come into earlier ones. */
  async writePlots(): Promise<void> {
    for (const [name, plot] of Object.entries(this.#plots)) await writePlot(`${folder}/${name}.svg`, plot());
  }
}

function file(name: string): URL {
  return new URL(`./scale/${name}.ts`, import.meta.url);
}

function microseconds(value: number): string {
  return `${formatNumber(value)} µs`;
}

function percent(share: number): string {
  return `${(share * 100).toFixed(1)} %`;
}

function distributionCells({ mean, p50, p99, p999, most }: Distribution): string[] {
  return [mean, p50, p99, p999, most].map(microseconds);
}

const help = `npm run bench:scale -- [OPTIONS]

Does the index hold the largest homeserver, and how fast? Each part runs in processes of its own. All of it at ten million users takes
about three quarters of an hour, 14 GiB of memory and 5 GB of disk.

  --only PART,...  of ${partNames.join(', ')}
  --users N        default: 10,000,000
  --smoke          small data, some seconds: shows that it works; the figures mean nothing
  --save           write tables and plots to ${folder}; else nothing is written
  --help`;

async function main(): Promise<void> {
  const { values } = parseArgs({
    options: {
      users: { type: 'string' },
      only: { type: 'string' },
      smoke: { type: 'boolean', default: false },
      save: { type: 'boolean', default: false },
      help: { type: 'boolean', default: false },
    },
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const users = Number(values.users ?? (values.smoke ? 20_000 : 10_000_000));
  const parts = values.only?.split(',') ?? partNames;
  const unknown = parts.filter((part) => !partNames.some((name) => name === part));
  if (!Number.isInteger(users) || users < 10_000) throw new Error('--users takes a whole number from 10,000');
  if (unknown.length > 0)
    throw new Error(`no part named ${unknown.join(', ')}; there are: ${partNames.join(', ')}`);
  const conditions = readConditions(values.smoke);
  console.log(describeConditions(conditions).join('\n'));
  const scale = new Scale(users, values.smoke);
  for (const part of partNames.filter((name) => parts.includes(name))) {
    const started = performance.now();
    const before = scale.sections.length;
    await scale.run(part);
    for (const section of scale.sections.slice(before)) printSection(section);
    console.log(`\n${part}: ${((performance.now() - started) / 1000).toFixed(0)} s`);
    const name = values.only === undefined ? 'scale' : `scale-${parts.join('-')}`;
    if (!values.save) continue;
    await writeResults(folder, name, { conditions, sections: scale.sections });
    await scale.writePlots();
  }
  printSection(scale.sections[0]);
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
