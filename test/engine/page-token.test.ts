/** Does a page token open for what it was made for, and for nothing else (invariant I7)? */
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import type { Clock } from '../../src/base/clock.js';
import { PublicError } from '../../src/base/errors.js';
import { roomNoEnd } from '../../src/base/ids.js';
import { pageTokenLifetimeMs } from '../../src/base/limits.js';
import { PageTokens, type PageTokensOptions } from '../../src/engine/page-token.js';
import type { Identity } from '../../src/store/store.js';
import { anyCharacter } from '../model/any-character.js';

const identity: Identity = { tokenKey: Buffer.alloc(32, 7), epoch: 3, earlier: [] };
const binding = { purpose: 'mutual_rooms', userId: '@alice:x', otherId: '@bob:x' };
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_';

class SetClock implements Clock {
  now = 1_800_000_000_000;
  nowMs(): number {
    return this.now;
  }
  monotonicMs(): number {
    throw new Error('a token outlives the process: its age is not measured by this clock');
  }
}

function tokensWith(options: Partial<PageTokensOptions> = {}): PageTokens {
  return new PageTokens({ identity, ...options });
}

const tokens = tokensWith();

/** Forged and expired tokens are refused under one code; only age and epoch are told apart from all the rest. */
function outcome(text: string, from = tokens, boundTo = binding): string {
  try {
    return `opens to ${from.open(text, boundTo)}`;
  } catch (error) {
    if (!(error instanceof PublicError) || error.code !== 'INVALID_TOKEN') throw error;
    return error.message.includes('has expired') ? 'expired' : 'forged';
  }
}

function expectForged(text: string, from = tokens, boundTo = binding): void {
  const is = outcome(text, from, boundTo);
  if (is !== 'forged') expect.fail(`${JSON.stringify(text)} ${is}`);
}

function expectExpired(text: string, from: PageTokens): void {
  expect(outcome(text, from)).toBe('expired');
}

describe('a token', () => {
  test('opens to the position that it was made with', () => {
    for (const start of [0, 1, 255, 256, 2 ** 25, roomNoEnd - 1, roomNoEnd, 2 ** 32 - 1]) {
      expect(tokens.open(tokens.seal(start, binding), binding)).toBe(start);
    }
    fc.assert(
      fc.property(
        fc.nat({ max: roomNoEnd }),
        fc.record({ purpose: fc.string(), userId: fc.string(), otherId: fc.string() }),
        (start, any) => tokens.open(tokens.seal(start, any), any) === start,
      ),
    );
  });

  test('is an opaque identifier by the grammar, always of the same length', () => {
    for (let start = 0; start < 500; start += 1) {
      const token = tokens.seal(start * 4_000_037, binding);
      expect(token).toMatch(/^[0-9A-Za-z\-._~]{1,255}$/);
      expect(token).toHaveLength(58);
    }
  });

  test('tells nothing: two of one position differ from the first bytes to the last', () => {
    const made = new Set(Array.from({ length: 200 }, () => tokens.seal(77, binding)));
    expect(made.size).toBe(200);
    const parts = (from: number, end: number): number =>
      new Set([...made].map((token) => Buffer.from(token, 'base64url').toString('hex', from, end))).size;
    expect([parts(1, 13), parts(13, 27), parts(27, 43)]).toEqual([200, 200, 200]);
  });

  test('is made of the randomness that is given', () => {
    const random = (size: number): Buffer => Buffer.alloc(size, 9);
    const token = Buffer.from(tokensWith({ random }).seal(1, binding), 'base64url');
    expect(token.subarray(1, 13)).toEqual(Buffer.alloc(12, 9));
  });
});

describe('is refused', () => {
  const token = tokens.seal(123_456, binding);
  const bytes = Buffer.from(token, 'base64url');

  test('with any byte changed', () => {
    for (let at = 0; at < bytes.length; at += 1) {
      for (const flip of [1, 0x80, 0xff, 0x10]) {
        const forged = Buffer.from(bytes);
        forged[at] ^= flip;
        expectForged(forged.toString('base64url'));
      }
    }
  });

  test('with any character changed', () => {
    for (let at = 0; at < token.length; at += 1) {
      for (const other of '.~ A_é') {
        if (token[at] !== other) expectForged(token.slice(0, at) + other + token.slice(at + 1));
      }
    }
  });

  test('when it is shortened or lengthened', () => {
    for (let end = 0; end < token.length; end += 1) {
      expectForged(token.slice(0, end));
      expectForged(token.slice(token.length - end));
    }
    for (const extra of ['A', '=', '==', ' ', '\n', '.', 'AA', token]) {
      expectForged(token + extra);
      expectForged(extra + token);
    }
    for (const size of [1, 12, 29, 42, 44, 100]) {
      expectForged(Buffer.concat([bytes, bytes, bytes]).subarray(0, size).toString('base64url'));
    }
  });

  test('in another spelling of the same bytes', () => {
    // The last character carries two bits; the four others are zero in a token of ours.
    const last = alphabet.indexOf(token.at(-1)!);
    expect(last % 16).toBe(0);
    for (let bits = 1; bits < 16; bits += 1) {
      const other = token.slice(0, -1) + alphabet[last + bits];
      expect(Buffer.from(other, 'base64url')).toEqual(bytes);
      expectForged(other);
    }
    // The standard alphabet decodes to the same bytes too; only some tokens hold a character that differs.
    const made = Array.from({ length: 50 }, () => tokens.seal(1, binding)).filter((text) =>
      /[-_]/.test(text),
    );
    expect(made.length).toBeGreaterThan(10);
    for (const text of made) expectForged(text.replaceAll('-', '+').replaceAll('_', '/'));
    expectForged(`${token.slice(0, 20)}\n${token.slice(20)}`);
  });

  test('with the same words for every fault, but for age and epoch', () => {
    const messages = new Set<string>();
    for (const text of [
      '',
      'x',
      token.slice(1),
      `B${token.slice(1)}`,
      `${token.slice(0, 40)}${token.slice(0, 18)}`,
    ]) {
      expect(() => tokens.open(text, binding)).toThrow(PublicError);
      try {
        tokens.open(text, binding);
      } catch (error) {
        messages.add((error as PublicError).message);
      }
    }
    expect(messages.size).toBe(1);
  });

  test('for another pair, the same pair swapped, and names that run together', () => {
    for (const other of [
      { ...binding, userId: '@carol:x' },
      { ...binding, otherId: '@carol:x' },
      { ...binding, userId: binding.otherId, otherId: binding.userId },
      { ...binding, otherId: '@bob:X' },
      { ...binding, userId: '', otherId: binding.userId + binding.otherId },
      { ...binding, userId: `${binding.userId}@`, otherId: 'bob:x' },
      { ...binding, userId: `${binding.userId}","`, otherId: '' },
    ]) {
      expectForged(token, tokens, other);
    }
    const left = { purpose: 'p', userId: 'ab', otherId: 'c' };
    expectForged(tokens.seal(1, left), tokens, { purpose: 'p', userId: 'a', otherId: 'bc' });
    expectForged(tokens.seal(1, left), tokens, { purpose: 'pa', userId: 'b', otherId: 'c' });
    // What is not well-formed must not be taken for what replaces it.
    expectForged(tokens.seal(1, { ...left, userId: '\ufffd' }), tokens, { ...left, userId: '\ud800' });
  });

  test('for another purpose, under another key, of another epoch', () => {
    expectForged(token, tokens, { ...binding, purpose: 'rooms_of' });
    expectForged(token, tokensWith({ identity: { ...identity, tokenKey: Buffer.alloc(32, 8) } }));
    expectExpired(token, tokensWith({ identity: { ...identity, epoch: 4 } }));
    expectExpired(token, tokensWith({ identity: { ...identity, epoch: 2 } }));
    expect(tokensWith({ identity: { ...identity, epoch: 3 } }).open(token, binding)).toBe(123_456);
  });

  test('when it is too old, or of the future, and not else', () => {
    const clock = new SetClock();
    const timed = tokensWith({ clock });
    const old = timed.seal(5, binding);
    const made = clock.now;
    expect(pageTokenLifetimeMs).toBeGreaterThanOrEqual(10 * 60_000);
    for (const age of [0, 1, 10 * 60_000, pageTokenLifetimeMs]) {
      clock.now = made + age;
      expect(timed.open(old, binding)).toBe(5);
    }
    for (const age of [pageTokenLifetimeMs + 1, 3_600_000, 24 * 3_600_000]) {
      clock.now = made + age;
      expectExpired(old, timed);
    }
    // Its key is of the past.
    for (const age of [3 * 24 * 3_600_000, 10 * 365 * 24 * 3_600_000]) {
      clock.now = made + age;
      expectForged(old, timed);
    }
    // A clock that is put right by a little is no reason to refuse.
    for (const back of [1, 1000, 60_000]) {
      clock.now = made - back;
      expect(timed.open(old, binding)).toBe(5);
    }
    for (const back of [60_001, 15 * 60_000, 3_600_000, 24 * 3_600_000]) {
      clock.now = made - back;
      expectExpired(old, timed);
    }
    clock.now = made - 3 * 24 * 3_600_000;
    expectForged(old, timed);
  });

  test('not by midnight', () => {
    const clock = new SetClock();
    const timed = tokensWith({ clock });
    const dayMs = 24 * 3_600_000;
    clock.now = Math.ceil(clock.now / dayMs) * dayMs - 1;
    const evening = timed.seal(5, binding);
    clock.now += 2;
    expect(timed.open(evening, binding)).toBe(5);
    const morning = timed.seal(6, binding);
    clock.now -= 2;
    expect(timed.open(morning, binding)).toBe(6);
  });

  test('when it is anything else', () => {
    const refused = (text: string): void => expectForged(text);
    fc.assert(fc.property(fc.string({ unit: anyCharacter, maxLength: 300 }), refused), { numRuns: 500 });
    fc.assert(
      fc.property(fc.uint8Array({ minLength: 43, maxLength: 43 }), (random) => {
        const text = (first: number): string =>
          Buffer.from([first, ...random.subarray(1)]).toString('base64url');
        refused(text(1));
        refused(text(random[0]));
      }),
      { numRuns: 500 },
    );
    const character = fc.nat({ max: 63 }).map((at) => alphabet[at]);
    fc.assert(fc.property(fc.string({ unit: character, minLength: 58, maxLength: 58 }), refused), {
      numRuns: 500,
    });
  });

  test('when parts of two good tokens are put together', () => {
    const other = Buffer.from(tokens.seal(654_321, binding), 'base64url');
    for (let cut = 2; cut < bytes.length; cut += 1) {
      const mixed = Buffer.concat([bytes.subarray(0, cut), other.subarray(cut)]);
      // The last byte of the two may be the same by chance.
      if (!mixed.equals(bytes)) expectForged(mixed.toString('base64url'));
    }
  });
});
