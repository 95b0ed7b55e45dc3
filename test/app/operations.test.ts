/** Can an operator see that it lives, that it is ready, and what it does? And does it say so when a shard has died? */
import { subscribe, unsubscribe } from 'node:diagnostics_channel';
import type { Worker } from 'node:worker_threads';
import { describe, expect, onTestFinished, test } from 'vitest';
import {
  alice,
  bob,
  membershipsPath,
  openServer,
  send,
  serviceToken,
  stablePath,
  testConfig,
  unstablePath,
  type ServerUnderTest,
} from '../http/server-under-test.js';

/** Node tells of every worker thread that is started: the way to end one as if it had died of itself. */
function collectWorkers(): Worker[] {
  const workers: Worker[] = [];
  const collect = (message: unknown): void => void workers.push((message as { worker: Worker }).worker);
  subscribe('worker_threads', collect);
  onTestFinished(() => void unsubscribe('worker_threads', collect));
  return workers;
}

test.each([0, 1, 3])('/health and /ready with %d shards', async (shards) => {
  const server = await openServer(testConfig({ shards }));
  const health = await server.ask('/health');
  expect([health.status, health.json]).toEqual([200, { status: 'alive' }]);
  const ready = await server.ask('/ready');
  expect([ready.status, ready.json]).toEqual([200, { status: 'ready', shards: Math.max(shards, 1) }]);
});

describe('a shard that died', () => {
  async function openAndKill(): Promise<ServerUnderTest> {
    const workers = collectWorkers();
    const server = await openServer(testConfig({ shards: 2 }));
    await server.join([alice, bob], ['!a', '!b', '!c', '!d']);
    expect((await server.mutual(bob)).status).toBe(200);
    expect(workers).toHaveLength(2);
    await workers[1].terminate();
    return server;
  }

  test('every question is 503 with Retry-After, never a part of an answer', async () => {
    const server = await openAndKill();
    for (const path of [
      `${stablePath}?user_id=${bob}`,
      `${unstablePath}/${bob}`,
      `${stablePath}?user_id=@x:y`,
    ]) {
      for (let again = 0; again < 3; again += 1) {
        const answer = await server.ask(path, { token: 'alice-token' });
        expect(answer.status).toBe(503);
        expect(Number(answer.headers['retry-after'])).toBeGreaterThanOrEqual(1);
        expect(answer.json.joined).toBeUndefined();
      }
    }
  });

  test('memberships are 503 too', async () => {
    const server = await openAndKill();
    await server.mutual(bob);
    // A room for every partition, so that the dead shard has a part in it.
    const body = Array.from(
      { length: 200 },
      (_, index) => `{"user_id":"${alice}","room_id":"!n${index}","membership":"join"}\n`,
    ).join('');
    const answer = await server.ask(membershipsPath, {
      method: 'POST',
      token: serviceToken,
      headers: { 'content-type': 'application/x-ndjson' },
      body,
    });
    expect(answer.status).toBe(503);
  });

  test('a scrape that finds it out first can be read, too', async () => {
    const server = await openAndKill();
    const metrics = await server.ask('/metrics');
    expect(metrics.status).toBe(200);
    expect(metrics.text).toMatch(/^mutual_rooms_shard_failures_total 1$/m);
    expect((await server.ask('/ready')).status).toBe(503);
  });

  test('/ready is 503 and says why, /health is alive, /metrics counts it and can still be read', async () => {
    const server = await openAndKill();
    await server.mutual(bob);
    const ready = await server.ask('/ready');
    expect(ready.status).toBe(503);
    expect(ready.headers['retry-after']).toBe('30');
    expect(ready.json.error).toMatch(/shard/);
    expect((await server.ask('/health')).status).toBe(200);
    const metrics = await server.ask('/metrics');
    expect(metrics.status).toBe(200);
    expect(metrics.text).toMatch(/^mutual_rooms_shard_failures_total 1$/m);
    expect(metrics.text).toMatch(/^mutual_rooms_faults_total 0$/m);
    expect(server.logged.filter((line) => line.includes('"level":60'))).toHaveLength(1);
  });
});

describe('/metrics', () => {
  const names = [
    'mutual_rooms_http_requests_total',
    'mutual_rooms_http_request_duration_seconds',
    'mutual_rooms_fan_out_batch_questions',
    'mutual_rooms_fan_out_waiting_questions',
    'mutual_rooms_changes_total',
    'mutual_rooms_shard_failures_total',
    'mutual_rooms_faults_total',
    'mutual_rooms_memberships',
    'mutual_rooms_users_known',
    'mutual_rooms_rooms_known',
    'mutual_rooms_bytes',
    'process_cpu_seconds_total',
  ];

  test.each([0, 2])(
    'every name is there, the figures are right, and no ID is in it (%d shards)',
    async (shards) => {
      const server = await openServer(testConfig({ shards }));
      await server.ask(membershipsPath, {
        method: 'POST',
        token: serviceToken,
        headers: { 'content-type': 'application/x-ndjson' },
        body:
          `{"user_id":"${alice}","room_id":"!idroom:x","membership":"join"}\n` +
          `{"user_id":"${bob}","room_id":"!idroom:x","membership":"join"}\n` +
          `{"user_id":"${bob}","room_id":"!idroom:x","membership":"join"}\n` +
          'broken\n',
      });
      await server.mutual(bob);
      await server.mutual('@idsomebody:x');
      await server.mutual('idbad');
      await server.ask(`${unstablePath}/${bob}`, { token: 'alice-token' });
      await server.ask('/idpath/@idsomebody:x?access_token=idtoken');
      await server.ask('/idpath/%zz');
      await server.ask(stablePath, { method: 'PURGE' });
      await server.exchange('idnonsense\r\n\r\n');

      const { status, headers, text } = await server.ask('/metrics');
      expect(status).toBe(200);
      expect(headers['content-type']).toMatch(/^text\/plain; version=0\.0\.4/);
      for (const name of names) expect(text).toContain(`# HELP ${name} `);
      for (const line of [
        'mutual_rooms_http_requests_total{endpoint="mutual_rooms",status="200"} 2',
        'mutual_rooms_http_requests_total{endpoint="mutual_rooms",status="400"} 1',
        'mutual_rooms_http_requests_total{endpoint="mutual_rooms_by_path",status="200"} 1',
        'mutual_rooms_http_requests_total{endpoint="memberships",status="200"} 1',
        'mutual_rooms_http_requests_total{endpoint="unknown",status="404"} 1',
        'mutual_rooms_http_requests_total{endpoint="wrong_method",status="405"} 1',
        'mutual_rooms_http_requests_total{endpoint="unreadable",status="400"} 2',
        'mutual_rooms_changes_total{result="applied"} 2',
        'mutual_rooms_changes_total{result="ignored"} 1',
        'mutual_rooms_changes_total{result="rejected"} 1',
        'mutual_rooms_memberships 2',
        'mutual_rooms_users_known 2',
        'mutual_rooms_rooms_known 1',
        'mutual_rooms_faults_total 0',
        'mutual_rooms_fan_out_waiting_questions{shard="0"} 0',
        'mutual_rooms_http_request_duration_seconds_count{endpoint="mutual_rooms"} 3',
      ]) {
        expect(text).toContain(`${line}\n`);
      }
      expect(text).toMatch(/^mutual_rooms_bytes\{part="names"\} [1-9]/m);
      expect(text).not.toMatch(/alice|bob|idroom|idsomebody|idbad|idpath|idtoken|idnonsense|@/);
    },
  );

  test('on a listener of its own when the configuration gives it one, and nowhere else', async () => {
    const server = await openServer(testConfig({ metrics: { listen: { host: '127.0.0.1', port: 0 } } }));
    await server.mutual(bob);
    expect((await server.ask('/metrics')).status).toBe(404);
    const metricsUrl = server.app.metricsUrl!;
    expect(metricsUrl).not.toBe(server.url);
    const metrics = await send(metricsUrl, '/metrics');
    expect(metrics.status).toBe(200);
    expect(metrics.text).toContain(
      'mutual_rooms_http_requests_total{endpoint="mutual_rooms",status="200"} 1',
    );
    for (const path of ['/health', stablePath, membershipsPath, '/_matrix/client/versions']) {
      expect((await send(metricsUrl, path, { token: 'alice-token' })).status).toBe(404);
    }
  });
});
