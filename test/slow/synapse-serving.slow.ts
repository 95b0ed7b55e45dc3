/**
 * Does the server that is fed say the truth about its source: before it has anything, while it follows, when the database is gone, and
 * when it is another one? Against tables that the test writes itself, on a real PostgreSQL.
 */
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import type { Config } from '../../src/config/load.js';
import {
  alice,
  bob,
  carol,
  membershipsPath,
  openServer,
  serviceToken,
  testConfig,
  type Json,
  type ServerUnderTest,
} from '../http/server-under-test.js';
import { newFolder } from '../store/kept-store.js';
import { missingPostgres } from '../servers/postgres-programs.js';
import { PostgresServer } from '../servers/postgres-server.js';
import { SimulatedSynapse } from '../synapse/simulated-synapse.js';

const missing = missingPostgres();
const soon = { timeout: 20_000, interval: 20 };

describe.skipIf(missing !== undefined)(
  `a server with a source${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let postgres: PostgresServer;
    let synapse: SimulatedSynapse;

    beforeAll(async () => {
      postgres = await PostgresServer.open();
      synapse = await SimulatedSynapse.open(postgres);
      await synapse.write({ roomId: '!both:x', members: { [alice]: 'join', [bob]: 'join' } });
    });

    afterAll(async () => {
      await (synapse as SimulatedSynapse | undefined)?.close();
      await (postgres as PostgresServer | undefined)?.close();
    });

    function fedConfig(database: string, staleAfterMs: number | null = null): Config {
      const { host, port, superuser: user, password } = postgres;
      return testConfig({
        source: {
          synapse: {
            postgres: { host, port, user, password, database },
            serverName: 'x',
            pollIntervalMs: 10,
            reconcileIntervalMs: 1_000,
            sweepIntervalMs: 1_000,
            staleAfterMs,
          },
        },
      });
    }
    const ready = async (server: ServerUnderTest): Promise<{ status: number; json: Json; source: Json }> => {
      const { status, json } = await server.ask('/ready');
      return { status, json, source: json.source as Json };
    };
    const expectShared = async (server: ServerUnderTest, ...rooms: string[]): Promise<void> => {
      await vi.waitFor(async () => {
        // In rank order, which is nobody's.
        const { joined } = (await server.mutual(bob)).json;
        expect((joined as string[] | undefined)?.toSorted()).toEqual(rooms.toSorted());
      }, soon);
    };

    test('before its first copy it is not ready, says what it waits for, and then is', async () => {
      const server = await openServer(fedConfig('not_there_yet'));
      const waiting = await vi.waitFor(async () => {
        const seen = await ready(server);
        expect(seen.source).toMatchObject({ state: 'disconnected' });
        return seen;
      }, soon);
      expect(waiting.status).toBe(503);
      expect(waiting.json).toMatchObject({ status: 'copied', share: 0 });
      expect(waiting.json.error).toMatch(/the index is being copied: 0 %; .*"not_there_yet" does not exist/);
      expect(waiting.source).toMatchObject({ kind: 'synapse', age_seconds: null, copies: 0 });
      expect(waiting.source.last_error).toMatch(/there is no database of that name/);
      const { status, json } = await server.mutual(bob);
      // Where the database is, and what it says, is nobody's business who asks for rooms.
      expect([status, json.error]).toEqual([503, 'the index is being copied: 0 %']);
      expect((await server.ask('/metrics')).text).toMatch(/^mutual_rooms_source_up 0$/m);

      await postgres.query('postgres', `CREATE DATABASE not_there_yet TEMPLATE template0`);
      const late = await postgres.connect('not_there_yet');
      await late.query('CREATE TABLE x ()');
      await late.end();
      // Of a Synapse that was never started.
      await vi.waitFor(
        async () => expect((await ready(server)).source.last_error).toMatch(/has Synapse been started once/),
        soon,
      );
      await server.close();
    });

    test('it follows, compares, and takes memberships from nobody else', async () => {
      const server = await openServer(fedConfig(synapse.database));
      await server.app.ready;
      await expectShared(server, '!both:x');
      await synapse.write({
        roomId: '!third:x',
        members: { [alice]: 'join', [bob]: 'join', [carol]: 'join' },
      });
      await expectShared(server, '!both:x', '!third:x');
      const { status, source } = await ready(server);
      expect([status, source.state, source.last_error]).toEqual([200, 'following', null]);
      expect(source.age_seconds).toBeLessThan(5);
      await vi.waitFor(
        async () =>
          expect((await ready(server)).source.reconcile).toMatchObject({
            rooms_drifted: 0,
            memberships_repaired: 0,
            last_at: expect.stringMatching(/^20/),
          }),
        soon,
      );
      const refused = await server.ask(membershipsPath, {
        method: 'POST',
        token: serviceToken,
        headers: { 'content-type': 'application/x-ndjson' },
        body: `{"user_id":"${alice}","room_id":"!forged:x","membership":"join"}\n`,
      });
      expect([refused.status, refused.json.errcode]).toEqual([403, 'M_FORBIDDEN']);
      expect((await server.mutual(bob)).json.count).toBe(2);
      const metrics = (await server.ask('/metrics')).text;
      for (const line of [
        /^mutual_rooms_source_up 1$/m,
        /^mutual_rooms_source_copies_total 1$/m,
        /^mutual_rooms_source_gaps_open 0$/m,
        /^mutual_rooms_source_age_seconds 0\.\d+$/m,
        /^mutual_rooms_source_rows_read_total [3-9]/m,
        /^mutual_rooms_source_rooms_drifted_total 0$/m,
        /^mutual_rooms_source_reconciliations_total [1-9]/m,
      ])
        expect(metrics).toMatch(line);
      // Counters are read, not summed up again with each scrape.
      expect((await server.ask('/metrics')).text).toMatch(/^mutual_rooms_source_copies_total 1$/m);
    });

    test('without the database it answers on, and turns stale where that was asked for', async () => {
      const server = await openServer(fedConfig(synapse.database, 1_000));
      const patient = await openServer(fedConfig(synapse.database));
      await Promise.all([server.app.ready, patient.app.ready]);
      await vi.waitFor(async () => expect((await ready(server)).status).toBe(200), soon);
      await postgres.stop();
      try {
        const stale = await vi.waitFor(async () => {
          const seen = await ready(server);
          expect(seen.status).toBe(503);
          return seen;
        }, soon);
        expect(stale.json).toMatchObject({ status: 'stale' });
        expect(stale.source).toMatchObject({ state: 'disconnected' });
        expect(stale.source.age_seconds).toBeGreaterThan(1);
        expect((await server.mutual(bob)).status).toBe(200);
        expect((await ready(patient)).status).toBe(200);
        expect((await server.ask('/metrics')).text).toMatch(/^mutual_rooms_source_age_seconds [1-9]/m);
      } finally {
        await postgres.start();
        await synapse.reconnect();
      }
      await vi.waitFor(async () => expect((await ready(server)).status).toBe(200), soon);
      const lines = server.logged.join('');
      expect(lines).toMatch(/the source cannot be followed/);
      expect(lines).not.toContain(postgres.password);
    });

    test('after a start it answers nothing older than what was there then, unless the database is away', async () => {
      const dataDir = newFolder();
      const config = { ...fedConfig(synapse.database), dataDir };
      const first = await openServer(config);
      await first.app.ready;
      const before = (await first.mutual(bob)).json.count as number;
      await first.close();
      for (let room = 0; room < 60; room += 1)
        await synapse.write({
          roomId: `!meanwhile${room}:x`,
          members: { [alice]: 'join', [bob]: 'join' },
          ids: 300,
        });
      const second = await openServer(config);
      const answer = await vi.waitFor(async () => {
        const seen = await second.mutual(bob);
        expect(seen.status).toBe(200);
        return seen;
      }, soon);
      expect(answer.json.count).toBe(before + 60);
      expect((await ready(second)).source).toMatchObject({ state: 'following', copies: 0 });
      await second.close();

      await postgres.stop();
      try {
        const third = await openServer(config);
        await third.app.ready;
        expect((await third.mutual(bob)).json.count).toBe(before + 60);
        expect((await ready(third)).source).toMatchObject({ state: 'disconnected' });
      } finally {
        await postgres.start();
        await synapse.reconnect();
      }
    });

    test('a database without a membership empties nothing', async () => {
      const server = await openServer(fedConfig(synapse.database));
      await server.app.ready;
      const before = (await server.mutual(bob)).json.count as number;
      expect(before).toBeGreaterThan(0);
      await synapse.query('CREATE TABLE kept AS SELECT * FROM current_state_events');
      await synapse.query('TRUNCATE current_state_events, current_state_delta_stream');
      await vi.waitFor(
        async () => expect((await ready(server)).source.last_error).toMatch(/no membership at all/),
        soon,
      );
      expect((await server.mutual(bob)).json.count).toBe(before);
      await synapse.query('INSERT INTO current_state_events SELECT * FROM kept');
      await vi.waitFor(async () => expect((await ready(server)).source.state).toBe('following'), soon);
      expect((await server.mutual(bob)).json.count).toBe(before);
    });

    test('a server that is closed while it copies, or waits, closes', async () => {
      const nowhere = await openServer(fedConfig('nowhere'));
      await vi.waitFor(async () => expect((await ready(nowhere)).source.state).toBe('disconnected'), soon);
      await nowhere.close();
      const copying = await openServer(fedConfig(synapse.database));
      await copying.close();
    });

    test('questions are answered from the old state until another database is copied', async () => {
      const server = await openServer(fedConfig(synapse.database));
      await server.app.ready;
      const before = ((await server.mutual(bob)).json.count as number) + 1;
      // A change by which this database is known.
      await synapse.write({ roomId: '!known:x', members: { [alice]: 'join', [bob]: 'join' } });
      await vi.waitFor(async () => expect((await server.mutual(bob)).json.count).toBe(before), soon);
      await synapse.query('TRUNCATE current_state_events, current_state_delta_stream, events, rooms CASCADE');
      for (let room = 0; room < 4; room += 1)
        await synapse.write({ roomId: `!new${room}:x`, members: { [alice]: 'join', [bob]: 'join' } });
      await postgres.query(
        'postgres',
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mutual-rooms'",
      );
      await vi.waitFor(async () => {
        const { count } = (await server.mutual(bob)).json;
        expect([before, 4]).toContain(count);
        expect(count).toBe(4);
      }, soon);
      // The comparison of rooms may have been there first.
      await vi.waitFor(() => expect(server.logged.join('')).toMatch(/put back or exchanged/), soon);
    });
  },
);
