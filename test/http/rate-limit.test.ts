/** Does the bucket hold what it says, to the millisecond, and does the answer say when to come back? */
import { describe, expect, test } from 'vitest';
import type { Clock } from '../../src/base/clock.js';
import { RateLimit } from '../../src/http/rate-limit.js';
import { bob, openServer, stablePath, testConfig, unstablePath } from './server-under-test.js';

class HandClock implements Clock {
  at = 1_000_000;

  nowMs(): number {
    return this.at;
  }

  monotonicMs(): number {
    return this.at;
  }
}

const takeMany = (limit: RateLimit, times: number, user = 'a'): number[] =>
  Array.from({ length: times }, () => limit.take(user));

describe('the bucket', () => {
  test('burst: exactly so many at once, then none', () => {
    const limit = new RateLimit(10, 5, new HandClock());
    expect(takeMany(limit, 5)).toEqual([0, 0, 0, 0, 0]);
    expect(limit.take('a')).toBeGreaterThan(0);
  });

  test('exact wait: one millisecond less is refused, then allowed; refusals cost nothing', () => {
    const clock = new HandClock();
    const limit = new RateLimit(10, 3, clock);
    takeMany(limit, 3);
    expect(takeMany(limit, 50).every((wait) => Math.abs(wait - 100) < 1e-6)).toBe(true);
    clock.at += 40;
    expect(limit.take('a')).toBeCloseTo(60, 6);
    clock.at += 59;
    expect(limit.take('a')).toBeCloseTo(1, 6);
    clock.at += 1;
    expect(limit.take('a')).toBe(0);
    expect(limit.take('a')).toBeCloseTo(100, 6);
  });

  test('refill: so many a second for as long as they like, and never more than the burst', () => {
    const clock = new HandClock();
    const limit = new RateLimit(4, 2, clock);
    let allowed = 0;
    for (let ms = 0; ms < 10_000; ms += 50) {
      if (limit.take('a') === 0) allowed += 1;
      clock.at += 50;
    }
    expect(allowed).toBe(2 + 39);
    clock.at += 1_000_000;
    expect(takeMany(limit, 3).map((wait) => wait > 0)).toEqual([false, false, true]);
  });

  test.each([0.001, 0.3, 1, 3, 7, 50, 999, 1_000_000])(
    '%d a second: the wait it names is enough',
    (perSecond) => {
      const clock = new HandClock();
      const limit = new RateLimit(perSecond, 1, clock);
      expect(limit.take('a')).toBe(0);
      for (let again = 0; again < 20; again += 1) {
        const wait = limit.take('a');
        expect(wait).toBeGreaterThan(0);
        clock.at += wait;
        expect(limit.take('a')).toBe(0);
      }
    },
  );

  test('every user has a bucket of their own', () => {
    const limit = new RateLimit(1, 1, new HandClock());
    expect([limit.take('a'), limit.take('b')]).toEqual([0, 0]);
    expect([limit.take('a') > 0, limit.take('b') > 0]).toEqual([true, true]);
  });

  test('forgetting: beyond 100,000 users the one that asked longest ago is forgiven, and no other', () => {
    const limit = new RateLimit(0.001, 1, new HandClock());
    for (let user = 0; user < 100_000; user += 1) limit.take(`user${user}`);
    expect(limit.take('user0')).toBeGreaterThan(0);
    limit.take('one more');
    expect(limit.take('user2')).toBeGreaterThan(0);
    expect(limit.take('user1')).toBe(0);
  });
});

describe('over HTTP', () => {
  const path = `${stablePath}?user_id=${bob}`;

  test('"rate limited": 429 M_LIMIT_EXCEEDED with Retry-After and retry_after_ms, over all spellings together', async () => {
    const server = await openServer(testConfig({ rateLimit: { perSecond: 0.4, burst: 2 } }));
    expect((await server.ask(path, { token: 'alice-token' })).status).toBe(200);
    expect((await server.ask(`${unstablePath}/${bob}`, { token: 'alice-token' })).status).toBe(200);
    for (const limited of [path, stablePath, `${unstablePath}?user_id=${bob}`, `${unstablePath}/${bob}`]) {
      const answer = await server.ask(limited, { token: 'alice-token' });
      expect([answer.status, answer.json.errcode]).toEqual([429, 'M_LIMIT_EXCEEDED']);
      expect(answer.headers['retry-after']).toBe('3');
      expect(answer.json.retry_after_ms).toBeGreaterThan(1000);
      expect(answer.json.retry_after_ms).toBeLessThanOrEqual(2500);
    }
    const other = await server.ask(`${stablePath}?user_id=@x:y`, { token: 'bob-token' });
    expect(other.status).toBe(200);
    // What costs nothing is not counted.
    expect((await server.ask(path, { method: 'OPTIONS' })).status).toBe(204);
    expect((await server.ask('/_matrix/client/versions', { token: 'alice-token' })).status).toBe(200);
  });

  test('the wait it names is enough', async () => {
    const server = await openServer(testConfig({ rateLimit: { perSecond: 5, burst: 1 } }));
    await server.ask(path, { token: 'alice-token' });
    const limited = await server.ask(path, { token: 'alice-token' });
    expect(limited.status).toBe(429);
    await new Promise((resolve) => setTimeout(resolve, (limited.json.retry_after_ms as number) + 5));
    expect((await server.ask(path, { token: 'alice-token' })).status).toBe(200);
  });

  test('off: nobody is refused', async () => {
    const server = await openServer(testConfig({ rateLimit: null }));
    const answers = await Promise.all(
      Array.from({ length: 300 }, () => server.ask(path, { token: 'alice-token' })),
    );
    expect(new Set(answers.map(({ status }) => status))).toEqual(new Set([200]));
  });
});
