/** Do the counters count what they are told, and do the gauges read when they are scraped? */
import { expect, test } from 'vitest';
import { Metrics, type Gauges } from '../../src/metrics/metrics.js';

const gauges = (overrides: Partial<Gauges> = {}): Gauges => ({
  stats: async () => ({ memberships: 5, usersKnown: 3, roomsKnown: 2, bytes: { names: 10, packed: 20 } }),
  waiting: [0, 7],
  failure: undefined,
  ...overrides,
});

test('requests by endpoint and status, and how long they took', async () => {
  const metrics = new Metrics();
  metrics.request('one', 200, 0.0002);
  metrics.request('one', 200, 0.3);
  metrics.request('one', 503, 0);
  metrics.request('two', 200, 0);
  const text = await metrics.text();
  expect(text).toContain('mutual_rooms_http_requests_total{endpoint="one",status="200"} 2\n');
  expect(text).toContain('mutual_rooms_http_requests_total{endpoint="one",status="503"} 1\n');
  expect(text).toContain('mutual_rooms_http_requests_total{endpoint="two",status="200"} 1\n');
  expect(text).toContain('mutual_rooms_http_request_duration_seconds_count{endpoint="one"} 3\n');
  expect(text).toContain(
    'mutual_rooms_http_request_duration_seconds_bucket{le="0.00025",endpoint="one"} 2\n',
  );
});

test('batches by shard', async () => {
  const metrics = new Metrics();
  metrics.sent(0, 1);
  metrics.sent(0, 512);
  metrics.sent(3, 2);
  const text = await metrics.text();
  expect(text).toContain('mutual_rooms_fan_out_batch_questions_sum{shard="0"} 513\n');
  expect(text).toContain('mutual_rooms_fan_out_batch_questions_count{shard="3"} 1\n');
});

test('changes, shard failures and faults', async () => {
  const metrics = new Metrics();
  metrics.changes(3, 2, 1);
  metrics.changes(1, 0, 0);
  metrics.shardFailed();
  metrics.fault();
  metrics.fault();
  const text = await metrics.text();
  expect(text).toContain('mutual_rooms_changes_total{result="applied"} 4\n');
  expect(text).toContain('mutual_rooms_changes_total{result="ignored"} 2\n');
  expect(text).toContain('mutual_rooms_changes_total{result="rejected"} 1\n');
  expect(text).toContain('mutual_rooms_shard_failures_total 1\n');
  expect(text).toContain('mutual_rooms_faults_total 2\n');
});

test('gauges are read when they are scraped, all from one and the same look', async () => {
  const metrics = new Metrics();
  let memberships = 5;
  let looks = 0;
  metrics.watch(
    gauges({
      stats: async () => {
        looks += 1;
        return { memberships, usersKnown: 3, roomsKnown: 2, bytes: { names: 10, packed: 20 } };
      },
    }),
    { bytes: 77, last: 5 },
  );
  const first = await metrics.text();
  expect(first).toContain('mutual_rooms_store_bytes 77\n');
  expect(first).toContain('mutual_rooms_last_commit 5\n');
  expect(first).toContain('mutual_rooms_memberships 5\n');
  expect(first).toContain('mutual_rooms_users_known 3\n');
  expect(first).toContain('mutual_rooms_rooms_known 2\n');
  expect(first).toContain('mutual_rooms_bytes{part="names"} 10\n');
  expect(first).toContain('mutual_rooms_bytes{part="packed"} 20\n');
  expect(first).toContain('mutual_rooms_fan_out_waiting_questions{shard="1"} 7\n');
  expect(looks).toBe(1);
  memberships = 6;
  expect(await metrics.text()).toContain('mutual_rooms_memberships 6\n');
});

test('what was refused and cut off, by its reason', async () => {
  const metrics = new Metrics();
  metrics.refused('requests');
  metrics.refused('requests');
  metrics.refused('answer_bytes');
  metrics.cutOff('stalled');
  const text = await metrics.text();
  expect(text).toContain('mutual_rooms_http_refused_total{bound="requests"} 2\n');
  expect(text).toContain('mutual_rooms_http_refused_total{bound="answer_bytes"} 1\n');
  expect(text).toContain('mutual_rooms_http_cut_off_total{reason="stalled"} 1\n');
});

test('what servers have under way is read when it is scraped, all of them together', async () => {
  const metrics = new Metrics();
  const one = { connections: 5, requestsInFlight: 3, requestsPipelined: 0, answerBytesWaiting: 1000 };
  metrics.watchAdmission(one);
  metrics.watchAdmission({
    connections: 1,
    requestsInFlight: 1,
    requestsPipelined: 7,
    answerBytesWaiting: 0,
  });
  const text = await metrics.text();
  expect(text).toContain('mutual_rooms_http_connections 6\n');
  expect(text).toContain('mutual_rooms_http_requests_in_flight 4\n');
  expect(text).toContain('mutual_rooms_http_requests_pipelined 7\n');
  expect(text).toContain('mutual_rooms_http_answer_bytes_waiting 1000\n');
  one.connections = 0;
  expect(await metrics.text()).toContain('mutual_rooms_http_connections 1\n');
});

test('a failed engine has no figures, but the scrape works and says so', async () => {
  const metrics = new Metrics();
  metrics.watch(gauges({ failure: 'gone', stats: () => Promise.reject(new Error('gone')) }), {
    bytes: 0,
    last: 0,
  });
  metrics.shardFailed();
  expect(await metrics.text()).toContain('mutual_rooms_shard_failures_total 1\n');
});

test('two of them do not meet: each has a registry of its own', async () => {
  const one = new Metrics();
  const two = new Metrics();
  one.fault();
  expect(await two.text()).toContain('mutual_rooms_faults_total 0\n');
});
