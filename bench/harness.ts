/**
 * How is anything measured here? Contestants answer the same questions; first their answers are compared, then
 * tinybench times them in turn, and a table says how many times slower or faster than ours each is.
 *
 * Goals: ratios within one run, on one machine, between answers known to be equal. Not a goal: figures that can be
 * compared between machines or days.
 */
import { Bench } from 'tinybench';

export interface RunOptions {
  /** Small data and short times: shows that the benches work, not what they say. */
  readonly smoke: boolean;
  /** Where a bench that can write its results and plots does so, for whoever asked for it; without it, all only print. */
  readonly folder?: string | undefined;
  /** One part of a bench that has parts. */
  readonly only?: string | undefined;
  /** About how many, where a bench can be told. */
  readonly memberships?: number | undefined;
}

export interface Contestant<Checksum extends number | Promise<number> = number> {
  readonly name: string;
  /** Answers all questions once; this is what is timed. @returns a number that depends on every answer */
  readonly run: () => Checksum;
  /** Not timed: called before each `run`. */
  readonly before?: () => void;
}

/** One that may have to wait for its answers. */
export type AsyncContestant = Contestant<number | Promise<number>>;

/** Contestants take turns this often, so that a busy moment of the machine meets all of them. The first warms up. */
const roundCount = 5;

export interface Timing {
  readonly name: string;
  /** Nanoseconds of one question: the median of the rounds' medians. */
  readonly nanoseconds: number;
}

export interface Comparison {
  readonly timings: readonly Timing[];
  /** What every contestant answered. */
  readonly checksum: number;
}

/** Everything timed ends here, so that no engine finds that nobody looks at the results. */
let consumed = 0;

export function consume(value: number): void {
  consumed = (consumed + value) | 0;
}

/** A digest of all results so far: the same seed and code give the same one. */
export function consumedSoFar(): string {
  return (consumed >>> 0).toString(16).padStart(8, '0');
}

/**
 * Times contestants against each other.
 * @param questions how many questions one `run` answers
 * @param timeMs for each contestant
 * @throws when their checksums differ: a wrong answer wins nothing
 */
export function compare(contestants: readonly Contestant[], questions: number, timeMs: number): Comparison {
  const checksums = contestants.map(({ run, before }) => {
    before?.();
    return run();
  });
  const checksum = agreed(contestants, checksums);
  const rounds: Round[] = [];
  for (let index = 0; index < roundCount; index += 1) {
    rounds.push(medianLatencies(benchOf(contestants, new Set(), checksum, timeMs).runSync()));
  }
  return { timings: timingsOf(contestants, rounds, questions), checksum };
}

/** `compare` for contestants of which some have to wait. */
export async function compareAsync(
  contestants: readonly AsyncContestant[],
  questions: number,
  timeMs: number,
): Promise<Comparison> {
  const checksums: number[] = [];
  const waiting = new Set<AsyncContestant>();
  for (const contestant of contestants) {
    contestant.before?.();
    const answer = contestant.run();
    if (typeof answer !== 'number') waiting.add(contestant);
    checksums.push(await answer);
  }
  const checksum = agreed(contestants, checksums);
  const rounds: Round[] = [];
  for (let index = 0; index < roundCount; index += 1) {
    rounds.push(medianLatencies(await benchOf(contestants, waiting, checksum, timeMs).run()));
  }
  return { timings: timingsOf(contestants, rounds, questions), checksum };
}

/** @throws when they differ */
function agreed(contestants: readonly AsyncContestant[], checksums: readonly number[]): number {
  for (const [index, checksum] of checksums.entries()) {
    if (checksum === checksums[0]) continue;
    throw new Error(
      `${contestants[index].name} answers ${checksum}, ${contestants[0].name} answers ${checksums[0]}`,
    );
  }
  consume(checksums[0]);
  return checksums[0];
}

/** One round: each contestant has its turn. @param waiting those who answer with promises */
function benchOf(
  contestants: readonly AsyncContestant[],
  waiting: ReadonlySet<AsyncContestant>,
  checksum: number,
  timeMs: number,
): Bench {
  const bench = new Bench({ time: timeMs / roundCount, iterations: 1, warmup: false, throws: true });
  for (const contestant of contestants) {
    const { name, run, before } = contestant;
    // The value is not added up here: how often tinybench calls depends on the machine.
    const check = (answer: number): void => {
      if (answer !== checksum) throw new Error(`${name} changed its answer`);
    };
    const timed = (): void | Promise<void> => {
      const answer = run();
      if (typeof answer !== 'number') return answer.then(check);
      check(answer);
    };
    // Told nothing, tinybench finds out by a call that it does not wait for, which then runs beside the timed ones.
    const async = waiting.has(contestant);
    bench.add(name, timed, before === undefined ? { async } : { async, beforeEach: () => before() });
  }
  return bench;
}

/** Milliseconds of a run of each contestant. */
type Round = readonly number[];

function medianLatencies(tasks: Bench['tasks']): Round {
  return tasks.map(({ name, result }) => {
    if (!('latency' in result)) throw new Error(`${name} was not timed: ${result.state}`);
    return result.latency.p50;
  });
}

function timingsOf(
  contestants: readonly AsyncContestant[],
  rounds: readonly Round[],
  questions: number,
): Timing[] {
  return contestants.map(({ name }, index) => ({
    name,
    nanoseconds: (medianOf(rounds.map((round) => round[index])) * 1e6) / questions,
  }));
}

function medianOf(values: readonly number[]): number {
  return [...values].sort((left, right) => left - right)[values.length >>> 1];
}

/** An integer from 0 up to, not including, `end`. */
export type Random = (end: number) => number;

/** The same seed draws the same numbers (mulberry32). */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return (end) => {
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  };
}

/** Puts the items in random order, in place. */
export function shuffle<Items extends { length: number; [index: number]: number }>(
  items: Items,
  random: Random,
): Items {
  for (let index = items.length - 1; index > 0; index -= 1) {
    const other = random(index + 1);
    const item = items[index];
    items[index] = items[other];
    items[other] = item;
  }
  return items;
}

/** The cells of one comparison: our time, then how much slower or faster each peer is, then the checksum. */
export function ratioCells({ timings, checksum }: Comparison): string[] {
  const [ours, ...peers] = timings;
  const ratios = peers.map(({ nanoseconds }) => relativeTime(nanoseconds / ours.nanoseconds));
  return [formatNanoseconds(ours.nanoseconds), ...ratios, checksumCell(checksum)];
}

/** @param ratio of a peer's time to ours @returns what the peer is */
export function relativeTime(ratio: number): string {
  if (ratio >= 1.005) return `${formatNumber(ratio)} times slower`;
  return ratio > 0.995 ? 'the same' : `${formatNumber(1 / ratio)} times faster`;
}

export function checksumCell(checksum: number): string {
  return (checksum >>> 0).toString(16).padStart(8, '0');
}

export function formatNanoseconds(nanoseconds: number): string {
  if (nanoseconds < 1000) return `${formatNumber(nanoseconds)} ns`;
  if (nanoseconds < 1e6) return `${formatNumber(nanoseconds / 1000)} µs`;
  return `${formatNumber(nanoseconds / 1e6)} ms`;
}

/** Three digits that count, thousands with a comma. */
export function formatNumber(value: number): string {
  return value.toLocaleString('en-US', { maximumSignificantDigits: 3 });
}

/** The lines of a Markdown table with aligned columns; the first column is text, the others are figures. */
export function formatTable(header: readonly string[], rows: readonly (readonly string[])[]): string[] {
  const widths = header.map((name, column) =>
    Math.max(3, name.length, ...rows.map((row) => row[column].length)),
  );
  const line = (cells: readonly string[]): string =>
    `| ${cells.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join(' | ')} |`;
  const rule = widths.map((width, column) =>
    column === 0 ? '-'.repeat(width) : `${'-'.repeat(width - 1)}:`,
  );
  return [line(header), line(rule), ...rows.map(line)];
}

export function printTable(
  title: string,
  header: readonly string[],
  rows: readonly (readonly string[])[],
): void {
  console.log(`\n${title}\n`);
  console.log(formatTable(header, rows).join('\n'));
}
