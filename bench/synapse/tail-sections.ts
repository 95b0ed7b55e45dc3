/** The tables of bench/synapse/simulated-lag.ts and real-lag.ts. */
import { formatNumber } from '../harness.js';
import type { Section } from '../results.js';
import type { Distribution } from '../scale/latencies.js';
import type { RealLag } from './real-lag.js';
import type { Lag } from './simulated-lag.js';

/** What is to be reached. */
const p99MsMax = 100;

export function simulatedLagSection(lags: readonly Lag[]): Section {
  const limitOf = ({ load }: Lag): Distribution =>
    lags.find((each) => each.isLimit && (each.load === null) === (load === null))!.lag;
  return {
    title: 'From a commit to our answer: commits by SQL',
    text:
      'From the answer to COMMIT until an answer shows it, asked a millisecond apart. The limit is the same question asked of ' +
      'PostgreSQL itself. The load is changes in other rooms, and questions.',
    header: ['', 'changes', 'p50', 'p95', 'p99', 'longest', 'p50 × limit', 'p99 < 100 ms', 'load'],
    rows: lags.map((each) => [
      ...[each.name, ...cells(each.lag), `${formatNumber(each.lag.p50 / limitOf(each).p50)} ×`],
      each.isLimit ? 'limit' : goal(each.lag),
      loadText(each),
    ]),
    data: lags,
  };
}

export function realLagSection(lags: readonly RealLag[]): Section {
  const [theirs] = lags.filter(({ isOurs }) => !isOurs);
  return {
    title: 'From visible in PostgreSQL to our answer: a real Synapse with two event persisters',
    text: 'A user joins and leaves through the API. Below zero: seen a moment before the connection that asks PostgreSQL saw it.',
    header: ['', 'changes', 'p50', 'p95', 'p99', 'longest', 'p99 × Synapse', 'p99 < 100 ms'],
    rows: lags.map(({ name, isOurs, lag }) => [
      ...[name, ...cells(lag), `${formatNumber(lag.p99 / theirs.lag.p99)} ×`],
      isOurs ? goal(lag) : '',
    ]),
    data: lags,
  };
}

function cells({ count, p50, p95, p99, most }: Distribution): string[] {
  return [formatNumber(count), ...[p50, p95, p99, most].map((each) => `${(each / 1000).toFixed(1)} ms`)];
}

function goal({ p99 }: Distribution): string {
  return p99 < p99MsMax * 1000 ? 'yes' : '**no**';
}

function loadText({ load }: Lag): string {
  if (load === null) return '';
  const questions = `${formatNumber(load.latencies.count)} questions, p99 ${(load.latencies.p99 / 1000).toFixed(1)} ms`;
  return `${formatNumber(load.changesPerSecond)} changes/s, ${questions}`;
}
