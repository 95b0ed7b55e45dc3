/**
 * Where are the programs of PostgreSQL, and who runs them? For tests and benches that start a cluster of their own.
 * It only looks; nothing is started. Cost: a few looks into folders, and `id` twice when root asks.
 */
import { execFileSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { findProgram, missingOf, NotInstalled } from './find-program.js';
import type { Owner } from './temporary-server.js';

/** @returns the folder that has them all: Debian's newest, or one of the PATH. @throws NotInstalled */
export function findPostgresPrograms(): string {
  const debian = '/usr/lib/postgresql';
  const versions = listed(debian).sort((left, right) => Number(right) - Number(left));
  const postgres = findProgram(
    'postgres',
    versions.map((version) => join(debian, version, 'bin')),
  );
  if (postgres === undefined) throw new NotInstalled('no postgres: apt-get install postgresql');
  return dirname(postgres);
}

function listed(folder: string): string[] {
  try {
    return readdirSync(folder);
  } catch {
    return [];
  }
}

/** PostgreSQL refuses to run as root. @returns undefined: whoever runs this. @throws NotInstalled */
export function postgresOwner(): Owner | undefined {
  if (process.getuid?.() !== 0) return undefined;
  const id = (option: string): number => Number(execFileSync('id', [option, 'postgres'], { stdio: 'pipe' }));
  try {
    return { uid: id('-u'), gid: id('-g') };
  } catch {
    throw new NotInstalled('no user postgres to run it as, and root may not: adduser --system postgres');
  }
}

/** For tests that skip without PostgreSQL: what `missingOf` says. */
export function missingPostgres(): string | undefined {
  return missingOf(() => {
    findPostgresPrograms();
    postgresOwner();
  });
}
