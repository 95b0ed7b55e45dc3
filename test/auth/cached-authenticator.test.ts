import { describe, expect, it } from 'vitest';
import type { Asker, Credentials } from '../../src/auth/authenticator.js';
import { CachedAuthenticator, type CacheOptions, type WhoAsks } from '../../src/auth/cached-authenticator.js';
import { MatrixError } from '../../src/base/matrix-error.js';

const options: CacheOptions = { ttlMs: 1000, entriesMax: 100, negativeTtlMs: 100 };

/** A source that answers by the token: `refused`, `guest`, or a status to fail with; else a user of that name. */
function sourceOf(): { asked: string[]; ask: WhoAsks } {
  const asked: string[] = [];
  const ask = async ({ accessToken }: Credentials): Promise<Asker> => {
    asked.push(accessToken);
    const status = Number(/^\d+/.exec(accessToken)?.[0]);
    if (!Number.isNaN(status)) throw new MatrixError(status, 'M_X', `failed with ${status}`);
    return { userId: `@${accessToken}:example.org`, isGuest: accessToken === 'guest' };
  };
  return { asked, ask };
}

function clockAt(startMs: number): {
  nowMs: () => number;
  monotonicMs: () => number;
  passMs: (ms: number) => void;
} {
  let ms = startMs;
  return { nowMs: () => 0, monotonicMs: () => ms, passMs: (passed) => (ms += passed) };
}

function heldSource(): {
  asked: Credentials[];
  ask: WhoAsks;
  answers: ((asker: Asker) => void)[];
  failures: ((e: Error) => void)[];
} {
  const asked: Credentials[] = [];
  const answers: ((asker: Asker) => void)[] = [];
  const failures: ((e: Error) => void)[] = [];
  const ask = (credentials: Credentials): Promise<Asker> => {
    asked.push(credentials);
    return new Promise((resolve, reject) => {
      answers.push(resolve);
      failures.push(reject);
    });
  };
  return { asked, ask, answers, failures };
}

describe('remembering', () => {
  it.each([0, 1, 123.456])(
    'believes an accepted token until its time is over, from %d on',
    async (startMs) => {
      const clock = clockAt(startMs);
      const { asked, ask } = sourceOf();
      const cached = new CachedAuthenticator(ask, options, clock);
      const alice = { userId: '@alice:example.org', isGuest: false };
      expect(await cached.whoAsks({ accessToken: 'alice' })).toEqual(alice);
      clock.passMs(1000);
      expect(await cached.whoAsks({ accessToken: 'alice' })).toEqual(alice);
      expect(asked).toHaveLength(1);
      clock.passMs(1);
      expect(await cached.whoAsks({ accessToken: 'alice' })).toEqual(alice);
      expect(asked).toHaveLength(2);
    },
  );

  it('does not believe a token longer for being used', async () => {
    const clock = clockAt(0);
    const { asked, ask } = sourceOf();
    const cached = new CachedAuthenticator(ask, options, clock);
    for (let i = 0; i <= 12; i++) {
      await cached.whoAsks({ accessToken: 'alice' });
      clock.passMs(100);
    }
    expect(asked).toHaveLength(2);
  });

  it('remembers a refusal for its own, shorter time, with all it said', async () => {
    const clock = clockAt(0);
    let calls = 0;
    const ask = async (): Promise<Asker> => {
      calls += 1;
      throw new MatrixError(401, 'M_USER_LOCKED', 'locked', { softLogout: true });
    };
    const cached = new CachedAuthenticator(ask, options, clock);
    const refusal = { status: 401, errcode: 'M_USER_LOCKED', message: 'locked', softLogout: true };
    await expect(cached.whoAsks({ accessToken: 'x' })).rejects.toMatchObject(refusal);
    clock.passMs(100);
    await expect(cached.whoAsks({ accessToken: 'x' })).rejects.toMatchObject(refusal);
    expect(calls).toBe(1);
    clock.passMs(1);
    await expect(cached.whoAsks({ accessToken: 'x' })).rejects.toMatchObject(refusal);
    expect(calls).toBe(2);
  });

  it('notices within its time that a token was taken back, and that one was given', async () => {
    const clock = clockAt(0);
    let known = true;
    const ask = async (): Promise<Asker> => {
      if (!known) throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'gone');
      return { userId: '@a:x', isGuest: false };
    };
    const cached = new CachedAuthenticator(ask, options, clock);
    await cached.whoAsks({ accessToken: 'x' });
    known = false;
    await cached.whoAsks({ accessToken: 'x' });
    clock.passMs(1001);
    await expect(cached.whoAsks({ accessToken: 'x' })).rejects.toMatchObject({ status: 401 });
    known = true;
    await expect(cached.whoAsks({ accessToken: 'x' })).rejects.toMatchObject({ status: 401 });
    clock.passMs(101);
    expect(await cached.whoAsks({ accessToken: 'x' })).toEqual({ userId: '@a:x', isGuest: false });
  });

  it.each(['403', '429', '502', '503'])('does not remember a failure with %s', async (accessToken) => {
    const { asked, ask } = sourceOf();
    const cached = new CachedAuthenticator(ask, options, clockAt(0));
    for (let i = 0; i < 2; i++) {
      await expect(cached.whoAsks({ accessToken })).rejects.toMatchObject({ status: Number(accessToken) });
    }
    expect(asked).toHaveLength(2);
  });

  it('does not remember a fault of ours', async () => {
    let calls = 0;
    const ask = (): Promise<Asker> => {
      calls += 1;
      throw new TypeError('thrown at once');
    };
    const cached = new CachedAuthenticator(ask, options, clockAt(0));
    await expect(cached.whoAsks({ accessToken: 'x' })).rejects.toThrow(TypeError);
    await expect(cached.whoAsks({ accessToken: 'x' })).rejects.toThrow(TypeError);
    expect(calls).toBe(2);
  });

  it('says that a guest is one, from memory too', async () => {
    const cached = new CachedAuthenticator(sourceOf().ask, options, clockAt(0));
    expect(await cached.whoAsks({ accessToken: 'guest' })).toMatchObject({ isGuest: true });
    expect(await cached.whoAsks({ accessToken: 'guest' })).toMatchObject({ isGuest: true });
  });

  it('remembers nothing when its times are 0', async () => {
    const { asked, ask } = sourceOf();
    const cached = new CachedAuthenticator(ask, { ...options, ttlMs: 0, negativeTtlMs: 0 }, clockAt(0));
    for (let i = 0; i < 2; i++) {
      await cached.whoAsks({ accessToken: 'alice' });
      await expect(cached.whoAsks({ accessToken: '401' })).rejects.toMatchObject({ status: 401 });
    }
    expect(asked).toHaveLength(4);
  });

  it('takes times that are no whole milliseconds', async () => {
    const { asked, ask } = sourceOf();
    const cached = new CachedAuthenticator(
      ask,
      { ...options, ttlMs: 1000.5, negativeTtlMs: 0.1 },
      clockAt(0),
    );
    await cached.whoAsks({ accessToken: 'alice' });
    await cached.whoAsks({ accessToken: 'alice' });
    expect(asked).toHaveLength(1);
  });
});

describe('bounds', () => {
  it('keeps the tokens used last', async () => {
    const { asked, ask } = sourceOf();
    const cached = new CachedAuthenticator(ask, { ...options, entriesMax: 2 }, clockAt(0));
    for (const accessToken of ['a', 'b', 'a', 'c', 'a', 'b']) await cached.whoAsks({ accessToken });
    expect(asked).toEqual(['a', 'b', 'c', 'b']);
  });

  it('keeps the refusals used last, and they displace no accepted token', async () => {
    const { asked, ask } = sourceOf();
    const cached = new CachedAuthenticator(
      ask,
      { ...options, entriesMax: 1, negativeEntriesMax: 2 },
      clockAt(0),
    );
    await cached.whoAsks({ accessToken: 'alice' });
    for (const accessToken of ['401a', '401b', '401c', '401c', '401a']) {
      await expect(cached.whoAsks({ accessToken })).rejects.toMatchObject({ status: 401 });
    }
    await cached.whoAsks({ accessToken: 'alice' });
    expect(asked).toEqual(['alice', '401a', '401b', '401c', '401a']);
  });

  it('holds no more of a flood of made-up tokens than its bounds, whatever becomes of them', async () => {
    const { ask, failures } = heldSource();
    const cached = new CachedAuthenticator(ask, { ...options, negativeEntriesMax: 50, callsInFlightMax: 20 });
    const outcomes: number[] = [];
    for (let round = 0; round < 10; round += 1) {
      const asking = Array.from({ length: 40 }, async (_, who) =>
        cached
          .whoAsks({ accessToken: `${round}-${who}` })
          .catch((error: unknown) => void outcomes.push((error as MatrixError).status)),
      );
      await Promise.resolve();
      expect(cached.size.inFlight).toBe(20);
      for (const fail of failures.splice(0)) fail(new MatrixError(401, 'M_UNKNOWN_TOKEN', 'no'));
      await Promise.all(asking);
      expect(cached.size).toEqual({ accepted: 0, refused: Math.min(50, 20 * (round + 1)), inFlight: 0 });
    }
    expect(outcomes.filter((status) => status === 401)).toHaveLength(200);
    expect(outcomes.filter((status) => status === 503)).toHaveLength(200);
  });

  it('refuses further tokens while too many are being checked, but joins and remembers as ever', async () => {
    const { asked, ask, answers } = heldSource();
    const cached = new CachedAuthenticator(ask, { ...options, callsInFlightMax: 2 }, clockAt(0));
    const known = cached.whoAsks({ accessToken: 'known' });
    answers[0]({ userId: '@known:x', isGuest: false });
    await known;

    const a = cached.whoAsks({ accessToken: 'a' });
    const b = cached.whoAsks({ accessToken: 'b' });
    const busy = { status: 503, errcode: 'M_UNKNOWN', retryAfterSeconds: 1 };
    await expect(cached.whoAsks({ accessToken: 'c' })).rejects.toMatchObject(busy);
    const joined = cached.whoAsks({ accessToken: 'a' });
    expect(await cached.whoAsks({ accessToken: 'known' })).toMatchObject({ userId: '@known:x' });

    answers[1]({ userId: '@a:x', isGuest: false });
    expect(await Promise.all([a, joined])).toMatchObject([{ userId: '@a:x' }, { userId: '@a:x' }]);
    const c = cached.whoAsks({ accessToken: 'c' });
    answers[2]({ userId: '@b:x', isGuest: false });
    answers[3]({ userId: '@c:x', isGuest: false });
    expect(await Promise.all([b, c])).toMatchObject([{ userId: '@b:x' }, { userId: '@c:x' }]);
    expect(asked.map(({ accessToken }) => accessToken)).toEqual(['known', 'a', 'b', 'c']);
  });
});

describe('one call for each token', () => {
  it('fails everyone who waits for it, and is made anew after that', async () => {
    const { asked, ask, answers, failures } = heldSource();
    const cached = new CachedAuthenticator(ask, options, clockAt(0));
    const calls = Array.from({ length: 10 }, () => cached.whoAsks({ accessToken: 'a' }));
    failures[0](new MatrixError(503, 'M_UNKNOWN', 'away'));
    const results = await Promise.allSettled(calls);
    expect(results.every(({ status }) => status === 'rejected')).toBe(true);
    const again = cached.whoAsks({ accessToken: 'a' });
    answers[1]({ userId: '@a:x', isGuest: false });
    expect(await again).toMatchObject({ userId: '@a:x' });
    expect(asked).toHaveLength(2);
  });

  it('is waited for when closing', async () => {
    const { ask, answers } = heldSource();
    const cached = new CachedAuthenticator(ask, options, clockAt(0));
    const call = cached.whoAsks({ accessToken: 'a' });
    let closed = false;
    const closing = cached.close().then(() => (closed = true));
    await new Promise((resolve) => setTimeout(resolve, 10));
    expect(closed).toBe(false);
    answers[0]({ userId: '@a:x', isGuest: false });
    expect(await call).toMatchObject({ userId: '@a:x' });
    await closing;
  });
});
