/**
 * Does the feed from a Synapse keep its promises of speed? Three parts, each with its own file in bench/synapse/: the first copy of
 * all memberships (`bootstrap`), how soon a change is in our answers (`tail`), and requests against Synapse's own endpoint
 * (`requests`). `--only PART` runs one of them; `--memberships N` says how many the first copies.
 *
 * It needs PostgreSQL, Redis, a Synapse (.ci/install-synapse, or SYNAPSE_VENV) and wrk; a part for which something is missing is
 * left out, and says so. Cost: about seven minutes; a smoke run, a minute.
 */
import { NotInstalled } from '../test/servers/find-program.js';
import { readConditions } from './conditions.js';
import type { RunOptions } from './harness.js';
import { printSection, writeResults, type Section } from './results.js';

type Part = (options: RunOptions) => Promise<Section[]>;

const parts: Record<string, Part> = {
  bootstrap: async ({ smoke, memberships = smoke ? 50_000 : 3_000_000 }) => {
    const { bootstrapSections, measureBootstrap } = await import('./synapse/bootstrap.js');
    const order = { memberships, rounds: smoke ? 1 : 3, restSeconds: smoke ? 1 : 10 };
    return bootstrapSections(await measureBootstrap(order));
  },
  tail: async ({ smoke }) => {
    const { measureSimulatedLag } = await import('./synapse/simulated-lag.js');
    const { measureRealLag } = await import('./synapse/real-lag.js');
    const { realLagSection, simulatedLagSection } = await import('./synapse/tail-sections.js');
    const order = smoke
      ? { users: 2_000, rooms: 500, changes: 8 }
      : { users: 50_000, rooms: 5_000, changes: 400 };
    return [
      simulatedLagSection(await measureSimulatedLag(order)),
      realLagSection(await measureRealLag(smoke ? 4 : 150)),
    ];
  },
  requests: async ({ smoke }) => {
    const { measureRequests, requestsSection } = await import('./synapse/requests.js');
    const order = smoke
      ? { users: 2_000, rooms: 200, askers: 4, rounds: 1, seconds: 1, compared: 20 }
      : { users: 48_000, rooms: 1_200, askers: 48, rounds: 5, seconds: 5, compared: 300 };
    return [requestsSection(await measureRequests(order))];
  },
};

export async function run(options: RunOptions): Promise<void> {
  const { smoke, folder, only, memberships = 1 } = options;
  if (!(memberships > 0)) throw new Error('--memberships takes a number above 0');
  if (only !== undefined && !Object.hasOwn(parts, only))
    throw new Error(`no part named ${only}; there are: ${Object.keys(parts).join(', ')}`);
  const conditions = readConditions(smoke);
  const sections: Section[] = [];
  for (const part of only === undefined ? Object.keys(parts) : [only]) {
    try {
      const measured = await parts[part](options);
      for (const section of measured) printSection(section);
      sections.push(...measured);
    } catch (error) {
      if (!(error instanceof NotInstalled)) throw error;
      console.log(`\n${part} is left out: ${error.message}`);
    }
    const name = only === undefined ? 'synapse' : `synapse-${only}`;
    if (folder !== undefined && !smoke && sections.length > 0)
      await writeResults(folder, name, { conditions, sections });
  }
}
