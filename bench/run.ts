/**
 * Which benches run, and on what? `npm run bench -- [names...] [--smoke] [--folder FOLDER]`; without names, all of
 * them. With a folder, a bench that can write its results and plots there does so. What else may be asked of one bench
 * (`--only PART`, `--memberships N`) is at its beginning.
 *
 * To add a bench: a file beside this one that exports `run(options)`, and a line in `benches`.
 */
import { parseArgs } from 'node:util';
import { describeConditions, readConditions } from './conditions.js';
import { consumedSoFar, type RunOptions } from './harness.js';

interface BenchModule {
  run(options: RunOptions): void | Promise<void>;
}

/** Loaded when asked for, so that one bench's code does not warm or burden another's. */
const benches: Record<string, () => Promise<BenchModule>> = {
  sets: () => import('./sets.js'),
  intern: () => import('./intern.js'),
  portable: () => import('./portable.js'),
  store: () => import('./store.js'),
  engine: () => import('./engine.js'),
  peers: () => import('./peers.js'),
  pool: () => import('./pool.js'),
  http: () => import('./http.js'),
  population: () => import('./population.js'),
  synapse: () => import('./synapse.js'),
};

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: {
      smoke: { type: 'boolean', default: false },
      folder: { type: 'string' },
      only: { type: 'string' },
      memberships: { type: 'string' },
    },
    allowPositionals: true,
  });
  const unknown = positionals.filter((name) => !Object.hasOwn(benches, name));
  if (unknown.length > 0) {
    throw new Error(`no bench named ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}`);
  }
  console.log(describeConditions(readConditions(values.smoke)).join('\n'));
  for (const name of positionals.length > 0 ? positionals : Object.keys(benches)) {
    const started = performance.now();
    console.log(`\n## ${name}`);
    const { run } = await benches[name]();
    await run({
      smoke: values.smoke,
      folder: values.folder,
      only: values.only,
      memberships: values.memberships === undefined ? undefined : Number(values.memberships),
    });
    console.log(
      `\n${name}: ${((performance.now() - started) / 1000).toFixed(1)} s, results ${consumedSoFar()}`,
    );
  }
}

try {
  await main();
} catch (error) {
  console.error(error instanceof Error ? error.message : error);
  process.exitCode = 1;
}
