/**
 * What did the run find, in words? Benches note the questions that somebody may have, and who took how long; at the end a line a
 * question says who is faster, and by how much: first where this index is, then where another is. Tables have all figures.
 */
import { formatNumber, type Timing } from './harness.js';

/** What is smaller is better: times of one answer, or bytes. */
export interface Contender {
  readonly name: string;
  readonly cost: number;
}

type Better = 'faster' | 'smaller';

/** Less than this apart is no difference on a machine that does other things too. */
const sameUpTo = 1.1;

const wins: string[] = [];
const losses: string[] = [];
const draws: string[] = [];
const facts: string[] = [];

/** @param question what was done, as in "listing 10 rooms by name" @param contenders ours first */
export function noteVerdict(
  question: string,
  [ours, ...peers]: readonly Contender[],
  better: Better = 'faster',
): void {
  // What a process grew by can come out as nothing, where it holds little.
  if (!(ours.cost > 0)) return;
  const won: string[] = [];
  const lost: string[] = [];
  const drawn: string[] = [];
  for (const { name, cost } of peers.filter((peer) => peer.cost > 0)) {
    const ratio = cost / ours.cost;
    if (ratio >= sameUpTo) won.push(`${formatTimes(ratio)} times ${better} than ${name}`);
    else if (ratio <= 1 / sameUpTo) lost.push(`${name} is ${formatTimes(1 / ratio)} times ${better}`);
    else drawn.push(name);
  }
  if (won.length > 0) wins.push(`${question}: ${ours.name} is ${inWords(won)}`);
  if (lost.length > 0) losses.push(`${question}: ${inWords(lost)} than ${ours.name}`);
  if (drawn.length > 0) draws.push(`${question}: ${inWords([ours.name, ...drawn])}`);
}

/** `noteVerdict` of a comparison. */
export function noteTimings(question: string, timings: readonly Timing[]): void {
  const contenders = timings.map(({ name, nanoseconds }) => ({ name, cost: nanoseconds }));
  noteVerdict(question, contenders);
}

/** What has nobody to be compared with. */
export function noteFact(sentence: string): void {
  facts.push(sentence);
}

/** All that was noted; nothing where nothing was. */
export function verdictLines(): string[] {
  const parts: [title: string, lines: readonly string[]][] = [
    ['Where this index is ahead', wins],
    ['Where another is ahead', losses],
    ['About the same, less than a tenth apart', draws],
    ['What else it comes to', facts],
  ];
  return parts.flatMap(([title, lines]) =>
    lines.length === 0 ? [] : ['', `${title}:`, ...lines.map((line) => `- ${line}`)],
  );
}

function formatTimes(ratio: number): string {
  return ratio < 10 ? ratio.toFixed(1) : formatNumber(Math.round(ratio));
}

function inWords(parts: readonly string[]): string {
  return new Intl.ListFormat('en', { type: 'conjunction' }).format(parts);
}
