/** What a server says whose source cannot be reached: where, how often, and in which names. Nothing listens where the database should be. */
import { pino } from 'pino';
import { expect, onTestFinished, test, vi } from 'vitest';
import type { Starting } from '../../src/http/backend.js';
import { startApp } from '../../src/service/app.js';
import type { ConfiguredSources } from '../../src/source/sources.js';
import { ServerUnderTest, testConfig } from '../http/server-under-test.js';
import { freePort } from '../servers/free-port.js';

type Synapse = NonNullable<ConfiguredSources['synapse']>;

const started: Starting[] = [];

async function openWaiting(redis?: Synapse['redis']): Promise<ServerUnderTest> {
  started.length = 0;
  const logged: string[] = [];
  const logger = pino({ level: 'info' }, { write: (line: string) => void logged.push(line) });
  const synapse: Synapse = {
    postgres: { host: '127.0.0.1', port: await freePort(), user: 'reader', database: 'synapse' },
    serverName: 'example.org',
    pollIntervalMs: 50,
    reconcileIntervalMs: null,
    sweepIntervalMs: null,
    staleAfterMs: null,
    redis,
  };
  const config = testConfig({ source: { synapse }, shards: 0 });
  const app = await startApp(config, { logger, onStarting: (starting) => void started.push(starting) });
  const server = new ServerUnderTest(app, logged);
  onTestFinished(() => server.close());
  return server;
}

test('the reason is logged once, and /ready has it as long as it holds', async () => {
  const server = await openWaiting();
  await vi.waitFor(async () => {
    const { source } = (await server.ask('/ready')).json as { source: { failures: number } };
    expect(source.failures).toBeGreaterThan(2);
  });
  const { status, json } = await server.ask('/ready');
  expect([status, json.status, json.share]).toEqual([503, 'copied', 0]);
  expect(json.error).toMatch(/^not ready: the index is being copied: 0 %; .*ECONNREFUSED.*nothing listens/);
  expect(json.source).toEqual({
    kind: 'synapse',
    state: 'disconnected',
    age_seconds: null,
    position: 0,
    gaps_open: 0,
    gaps_retired: 0,
    rows_read: 0,
    changes_made: 0,
    copies: 0,
    failures: expect.any(Number) as number,
    reconcile: {
      runs: 0,
      sweeps: 0,
      rooms_compared: 0,
      rooms_skipped: 0,
      rooms_purged: 0,
      rooms_drifted: 0,
      memberships_repaired: 0,
      last_at: null,
      last_seconds: null,
    },
    last_error: expect.stringMatching(/ECONNREFUSED/) as string,
    last_error_at: expect.stringMatching(/Z$/) as string,
  });
  expect(server.logged.filter((line) => line.includes('ECONNREFUSED'))).toHaveLength(1);
  // What a command logs and draws while it starts.
  expect(started.filter(({ waitsFor }) => waitsFor !== undefined)).toEqual([]);
  expect(started.at(-1)).toEqual({ phase: 'copied', share: 0 });
});

test('the metrics are those of its source, and Redis is among them where one is configured', async () => {
  const names = async (server: ServerUnderTest): Promise<string[]> =>
    [...(await server.ask('/metrics')).text.matchAll(/^# TYPE (mutual_rooms_source_.*)$/gm)]
      .map(([, name]) => name)
      .sort();
  const without = [
    'mutual_rooms_source_age_seconds gauge',
    'mutual_rooms_source_changes_total counter',
    'mutual_rooms_source_copies_total counter',
    'mutual_rooms_source_failures_total counter',
    'mutual_rooms_source_gaps_open gauge',
    'mutual_rooms_source_gaps_retired_total counter',
    'mutual_rooms_source_memberships_repaired_total counter',
    'mutual_rooms_source_position gauge',
    'mutual_rooms_source_reconciled_timestamp_seconds gauge',
    'mutual_rooms_source_reconciliations_total counter',
    'mutual_rooms_source_rooms_compared_total counter',
    'mutual_rooms_source_rooms_drifted_total counter',
    'mutual_rooms_source_rooms_purged_total counter',
    'mutual_rooms_source_rooms_skipped_total counter',
    'mutual_rooms_source_rows_read_total counter',
    'mutual_rooms_source_sweeps_total counter',
    'mutual_rooms_source_up gauge',
  ];
  expect(await names(await openWaiting())).toEqual(without);
  const withRedis = await openWaiting({ host: '127.0.0.1', port: await freePort() });
  expect(await names(withRedis)).toEqual([...without, 'mutual_rooms_source_redis_up gauge'].sort());
});
