/**
 * Which benches run, and on what? `npm run bench -- [names...] [--smoke]`; without names, all of them.
 *
 * To add a bench: a file beside this one that exports `run(options)`, and a line in `benches`.
 */
import { createRequire } from 'node:module';
import { arch, cpus, platform, totalmem } from 'node:os';
import { parseArgs } from 'node:util';
import { consumedSoFar, type RunOptions } from './harness.js';

interface BenchModule {
  run(options: RunOptions): void | Promise<void>;
}

/** Loaded when asked for, so that one bench's code does not warm or burden another's. */
const benches: Record<string, () => Promise<BenchModule>> = {
  sets: () => import('./sets.js'),
  intern: () => import('./intern.js'),
  engine: () => import('./engine.js'),
  pool: () => import('./pool.js'),
  http: () => import('./http.js'),
};

const packagesNamed = ['roaring', 'fastify', 'piscina', 'tinybench'];

function printConditions(smoke: boolean): void {
  const require = createRequire(import.meta.url);
  const root = require('../package.json') as { name: string; version: string };
  const lock = require('../package-lock.json') as {
    packages: Record<string, { version?: string } | undefined>;
  };
  const versions = packagesNamed.map(
    (name) => `${name} ${lock.packages[`node_modules/${name}`]?.version ?? 'unknown'}`,
  );
  const [cpu] = cpus();
  console.log(`${root.name} ${root.version}, ${new Date().toISOString().slice(0, 10)}`);
  console.log(
    `${cpus().length} × ${cpu.model}, ${Math.round(totalmem() / 2 ** 30)} GiB, ${platform()} ${arch()}, Node ${process.versions.node}`,
  );
  console.log(versions.join(', '));
  if (smoke) console.log('Smoke run: small data and short times; the figures mean nothing.');
}

async function main(): Promise<void> {
  const { values, positionals } = parseArgs({
    options: { smoke: { type: 'boolean', default: false } },
    allowPositionals: true,
  });
  const unknown = positionals.filter((name) => !Object.hasOwn(benches, name));
  if (unknown.length > 0) {
    throw new Error(`no bench named ${unknown.join(', ')}; there are: ${Object.keys(benches).join(', ')}`);
  }
  printConditions(values.smoke);
  for (const name of positionals.length > 0 ? positionals : Object.keys(benches)) {
    const started = performance.now();
    console.log(`\n## ${name}`);
    const { run } = await benches[name]();
    await run({ smoke: values.smoke });
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
