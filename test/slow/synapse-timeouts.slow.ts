/**
 * Does the feed work as a role to which timeouts were given, or a database that has them, or a server? On a real PostgreSQL. What
 * `doctor` says of that is for synapse-doctor.slow.ts.
 */
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Connection, ownSettings } from '../../src/source/synapse/database/connection.js';
import { missingPostgres } from '../servers/postgres-programs.js';
import { PostgresServer } from '../servers/postgres-server.js';
import { FedEngine, type FedOptions } from '../synapse/fed-engine.js';
import { SimulatedSynapse } from '../synapse/simulated-synapse.js';

const missing = missingPostgres();
const soon = { timeout: 30_000, interval: 20 };
const password = 'not a secret';

describe.skipIf(missing !== undefined)(
  `a role with timeouts${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let postgres: PostgresServer;
    let roles = 0;

    beforeAll(async () => {
      postgres = await PostgresServer.open();
    });

    afterAll(async () => {
      await (postgres as PostgresServer | undefined)?.close();
    });

    /** Of a new role, which has these settings. */
    const loginWith = async (
      synapse: SimulatedSynapse,
      settings: Readonly<Record<string, string>>,
    ): Promise<FedOptions['postgres'] & object> => {
      const user = `reader${(roles += 1)}`;
      await postgres.query('postgres', `CREATE ROLE ${user} LOGIN SUPERUSER PASSWORD '${password}'`);
      for (const [name, value] of Object.entries(settings))
        await postgres.query('postgres', `ALTER ROLE ${user} SET ${name} = '${value}'`);
      return { host: postgres.host, port: postgres.port, user, password, database: synapse.database };
    };

    const openSynapse = async (): Promise<SimulatedSynapse> => {
      const synapse = await SimulatedSynapse.open(postgres);
      onTestFinished(() => synapse.close());
      await synapse.write({ roomId: '!room:x', members: { '@a:x': 'join', '@b:x': 'join' } });
      return synapse;
    };

    test('copies for longer than a statement of the role may take', async () => {
      const synapse = await openSynapse();
      // Two rows take a second, as many millions do elsewhere.
      await synapse.query('ALTER TABLE current_state_events RENAME TO all_state');
      await synapse.query(
        `CREATE VIEW current_state_events AS SELECT s.*
         FROM all_state AS s, LATERAL (SELECT pg_sleep(0.5), s.room_id OFFSET 0) AS slowly`,
      );
      const login = await loginWith(synapse, { statement_timeout: '300ms' });
      const fed = await FedEngine.open(postgres, synapse.database, { postgres: login });
      await vi.waitFor(() => expect(fed.feed.status.state).toBe('following'), soon);
      expect(await fed.memberships()).toEqual(['!room:x @a:x', '!room:x @b:x']);
      expect(fed.told.filter(([what]) => what === 'failed')).toEqual([]);
    });

    test('rests between two comparisons, in and out of transactions, without an error', async () => {
      const synapse = await openSynapse();
      const login = await loginWith(synapse, {
        idle_session_timeout: '300ms',
        idle_in_transaction_session_timeout: '300ms',
      });
      const fed = await FedEngine.open(postgres, synapse.database, {
        postgres: login,
        reconcileIntervalMs: 1_500,
      });
      await vi.waitFor(() => expect(fed.feed.figures.reconciled.runs).toBeGreaterThan(0), soon);
      await vi.waitFor(() => expect(fed.feed.figures.reconciled.runs).toBeGreaterThan(2), soon);
      expect(fed.told.filter(([what]) => what === 'failed')).toEqual([]);
    });

    test('sets whatever the role has otherwise', async () => {
      const synapse = await openSynapse();
      const names = Object.keys(ownSettings);
      const known = await synapse.query<{ name: string }>(
        'SELECT name FROM pg_settings WHERE name = ANY($1)',
        [names],
      );
      const others: Record<string, string> = {
        default_transaction_isolation: 'serializable',
        jit: 'on',
        max_parallel_workers_per_gather: '2',
      };
      const settings = Object.fromEntries(known.map(({ name }) => [name, others[name] ?? '20s']));
      const connection = await Connection.open(await loginWith(synapse, settings));
      onTestFinished(() => connection.close());
      const rows = await connection.query<{ name: string; value: string }>(
        'SELECT name, current_setting(name) AS value FROM pg_settings WHERE name = ANY($1)',
        [names],
      );
      expect(Object.fromEntries(rows.map(({ name, value }) => [name, value]))).toEqual(
        Object.fromEntries(known.map(({ name }) => [name, ownSettings[name as keyof typeof ownSettings]])),
      );
    });
  },
);
