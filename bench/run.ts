/**
 * Which benches run, and on what? `npm run bench -- --help` says it all: names, options, how long each takes.
 *
 * To add a bench: a file beside this one that exports `run(options)`, and a line in `benches`. What it finds out it says by
 * verdict.ts, which is printed last.
 */
import { parseArgs } from 'node:util';
import { describeConditions, readConditions } from './conditions.js';
import { consumedSoFar, type RunOptions } from './harness.js';
import { verdictLines } from './verdict.js';

interface BenchModule {
  run(options: RunOptions): void | Promise<void>;
}

interface Bench {
  readonly asks: string;
  /** About how long it takes on two cores that do nothing else. */
  readonly seconds: number;
  /** Only where it is named. */
  readonly onlyNamed?: boolean;
  /** Loaded when asked for, so that one bench's code does not warm or burden another's. */
  readonly load: () => Promise<BenchModule>;
}

const benches: Record<string, Bench> = {
  engine: {
    asks: 'What does a question by names cost in process, against a JS Map of Sets?',
    seconds: 20,
    load: () => import('./engine.js'),
  },
  peers: {
    asks: 'Speed and memory beside a JS Map of Sets, Redis and PostgreSQL, with the same data and questions?',
    seconds: 60,
    load: () => import('./peers.js'),
  },
  http: {
    asks: 'How far is the server from bare node:http?',
    seconds: 60,
    load: () => import('./http.js'),
  },
  sets: {
    asks: 'What does an intersection cost by size, against a JS Set, a merge and Roaring?',
    seconds: 30,
    load: () => import('./sets.js'),
  },
  intern: {
    asks: 'What does a name cost in time and memory, against a JS Map?',
    seconds: 20,
    load: () => import('./intern.js'),
  },
  portable: {
    asks: 'What does it cost to write room sets down and read them, against the native package?',
    seconds: 15,
    load: () => import('./portable.js'),
  },
  store: {
    asks: 'What does it cost to keep the index on disk, and to start from it?',
    seconds: 60,
    load: () => import('./store.js'),
  },
  pool: {
    asks: 'What does the way to a worker thread and back cost, with a pool for each or one for all?',
    seconds: 5,
    load: () => import('./pool.js'),
  },
  population: {
    asks: 'What does the made-up homeserver look like, beside public graphs?',
    seconds: 5,
    load: () => import('./population.js'),
  },
  synapse: {
    asks: 'Does the feed from a real Synapse keep up? `npm run bench:synapse`; needs PostgreSQL, Redis, Synapse and wrk.',
    seconds: 400,
    onlyNamed: true,
    load: () => import('./synapse.js'),
  },
};

const help = `npm run bench -- [NAMES...] [OPTIONS]

Measures this index beside what one would use instead, in one run on one machine, with answers that are known to be equal, and
ends with a verdict in words. Without names all run but those that are marked *.

${Object.entries(benches)
  .map(
    ([name, { asks, seconds, onlyNamed }]) =>
      `  ${(name + (onlyNamed === true ? ' *' : '')).padEnd(12)} ${duration(seconds).padStart(6)}  ${asks}`,
  )
  .join('\n')}

  --smoke           small data, some seconds: shows that the benches work; the figures mean nothing
  --only PART       synapse: one of bootstrap, tail, requests
  --memberships N   synapse: how many the first copy copies
  --save            write results and plots of population and synapse to bench/results; else nothing is written
  --folder FOLDER   the same, to this folder
  --help

At ten million users: npm run bench:scale -- --help`;

const resultsFolder = 'bench/results';

function duration(seconds: number): string {
  return seconds < 90 ? `${seconds} s` : `${Math.round(seconds / 60)} min`;
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      smoke: { type: 'boolean', default: false },
      save: { type: 'boolean', default: false },
      folder: { type: 'string' },
      only: { type: 'string' },
      memberships: { type: 'string' },
      help: { type: 'boolean', default: false },
    },
    allowPositionals: true,
  });
  if (values.help) {
    console.log(help);
    return;
  }
  const unknown = positionals.filter((name) => !Object.hasOwn(benches, name));
  if (unknown.length > 0) {
    throw new Error(`no bench named ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}`);
  }
  const names =
    positionals.length > 0
      ? positionals
      : Object.keys(benches).filter((name) => benches[name].onlyNamed !== true);
  console.log(describeConditions(readConditions(values.smoke)).join('\n'));
  announce(names, values.smoke);
  for (const name of names) {
    const started = performance.now();
    console.log(`\n## ${name}: ${benches[name].asks}`);
    const { run } = await benches[name].load();
    await run({
      smoke: values.smoke,
      folder: values.folder ?? (values.save ? resultsFolder : undefined),
      only: values.only,
      memberships: values.memberships === undefined ? undefined : Number(values.memberships),
    });
    console.log(
      `\n${name}: ${((performance.now() - started) / 1000).toFixed(1)} s, results ${consumedSoFar()}`,
    );
  }
  printVerdict(values.smoke);
}

function announce(names: readonly string[], smoke: boolean): void {
  const all = names.reduce((sum, name) => sum + benches[name].seconds, 0);
  const length = smoke ? 'about half a minute' : `about ${duration(all)} where nothing else runs`;
  console.log(`\n${names.length === 1 ? 'One bench' : `${names.length} benches`}, ${length}:\n`);
  for (const name of names) {
    const { asks, seconds } = benches[name];
    console.log(`- ${name}${smoke ? '' : `, ${duration(seconds)}`}: ${asks}`);
  }
}

function printVerdict(smoke: boolean): void {
  const lines = verdictLines();
  if (lines.length === 0) return;
  console.log(
    `\n## Verdict${smoke ? ' (of a smoke run: it means nothing)' : ', on this machine in this run'}`,
  );
  console.log(lines.join('\n'));
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
