/**
 * Is there a real Synapse on this machine, with the PostgreSQL and the Redis that it needs? Tests that need one ask here
 * before they start anything, and skip with the reason in their name when there is none.
 *
 * Invariant: in CI a Synapse that could have been installed must be there; only a machine where `.ci/install-synapse`
 * cannot install one (no apt-get, or not root) may skip.
 * Cost: a few looks into folders.
 */
import { existsSync } from 'node:fs';
import { fileURLToPath } from 'node:url';
import { findProgram, missingOf, NotInstalled } from '../servers/find-program.js';
import { findPostgresPrograms, postgresOwner } from '../servers/postgres-programs.js';

const root = fileURLToPath(new URL('../../', import.meta.url));

/** Its Python. @throws NotInstalled */
export function findSynapsePython(): string {
  const environment = process.env.SYNAPSE_VENV ?? `${root}node_modules/.cache/synapse`;
  const python = `${environment}/bin/python`;
  if (!existsSync(`${environment}/bin/synapse_homeserver`) || !existsSync(python))
    throw new NotInstalled(`no Synapse in ${environment}: run .ci/install-synapse, or set SYNAPSE_VENV`);
  return python;
}

/** @returns what is missing and how to get it; undefined when all is there */
export function whatIsMissing(...programs: readonly string[]): string | undefined {
  return missingOf(() => {
    findSynapsePython();
    findPostgresPrograms();
    postgresOwner();
    for (const program of ['redis-server', ...programs]) {
      if (findProgram(program, ['/usr/sbin']) === undefined)
        throw new NotInstalled(`no ${program}: apt-get install ${program}`);
    }
  });
}
