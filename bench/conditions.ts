/**
 * Under what conditions is something measured? The machine, the versions, the day, the code and the command: what every
 * figure needs beside it. Read before measuring, since others may change the code meanwhile.
 */
import { execFileSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { arch, cpus, platform, release, totalmem } from 'node:os';
import { relative } from 'node:path';
import { fileURLToPath } from 'node:url';

export interface Conditions {
  readonly name: string;
  readonly version: string;
  /** YYYY-MM-DD */
  readonly date: string;
  /** What was typed, in the folder of the package. */
  readonly command: string;
  /** Short; null where there is no repository. */
  readonly commit: string | null;
  /** Whether files other than results differ from the commit. */
  readonly uncommittedChanges: boolean;
  readonly cores: number;
  readonly cpu: string;
  readonly memoryGib: number;
  readonly system: string;
  readonly node: string;
  readonly packages: Readonly<Record<string, string>>;
  readonly smoke: boolean;
}

const packagesNamed = ['roaring', 'fastify', 'piscina', 'tinybench'];

const root = fileURLToPath(new URL('../', import.meta.url));

export function readConditions(smoke: boolean): Conditions {
  const own = readJson('package.json') as { name: string; version: string };
  const lock = readJson('package-lock.json') as {
    packages: Record<string, { version?: string } | undefined>;
  };
  return {
    name: own.name,
    version: own.version,
    date: new Date().toISOString().slice(0, 10),
    command: command(),
    commit: git('rev-parse', '--short=10', 'HEAD') ?? null,
    uncommittedChanges: (git('status', '--porcelain', '--', '.', ':!bench/results') ?? '') !== '',
    cores: cpus().length,
    cpu: cpus()[0]?.model ?? 'unknown processor',
    memoryGib: Math.round(totalmem() / 2 ** 30),
    system: `${platform()} ${release()} ${arch()}`,
    node: process.versions.node,
    packages: Object.fromEntries(
      packagesNamed.map((name) => [name, lock.packages[`node_modules/${name}`]?.version ?? 'unknown']),
    ),
    smoke,
  };
}

export function describeConditions(conditions: Conditions): string[] {
  const { commit, uncommittedChanges } = conditions;
  const code = commit === null ? 'no commit' : `commit ${commit}`;
  return [
    `${conditions.name} ${conditions.version}, ${code}${uncommittedChanges ? ' with uncommitted changes' : ''}, ${conditions.date}`,
    `${conditions.cores} × ${conditions.cpu}, ${conditions.memoryGib} GiB, ${conditions.system}, Node ${conditions.node}`,
    Object.entries(conditions.packages)
      .map(([name, version]) => `${name} ${version}`)
      .join(', '),
    ...(conditions.smoke ? ['Smoke run: small data and short times; the figures mean nothing.'] : []),
  ];
}

function readJson(path: string): unknown {
  return JSON.parse(readFileSync(`${root}${path}`, 'utf8'));
}

/** As it can be typed again. Benches that bench/run.ts knows are run through npm, which builds first. */
function command(): string {
  const [, script = '', ...given] = process.argv;
  const path = relative(root, script);
  const words = given.map((word) =>
    /^[\w./:=@,+-]+$/.test(word) ? word : `'${word.replaceAll("'", `'\\''`)}'`,
  );
  const scripts: Record<string, string> = { 'bench/run.ts': 'bench', 'bench/scale.ts': 'bench:scale' };
  const start = path in scripts ? `npm run ${scripts[path]}` : `npx tsx ${path}`;
  return [start, ...(path in scripts && words.length > 0 ? ['--'] : []), ...words].join(' ');
}

function git(...words: string[]): string | undefined {
  try {
    return execFileSync('git', words, {
      cwd: root,
      encoding: 'utf8',
      stdio: ['ignore', 'pipe', 'ignore'],
    }).trim();
  } catch {
    return undefined;
  }
}
