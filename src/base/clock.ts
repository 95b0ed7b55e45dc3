/**
 * The only place that reads time or randomness; the linter holds it. Whoever needs them takes a `Clock` or a
 * `RandomBytes` as a parameter, so that tests can own both.
 */
import { randomBytes } from 'node:crypto';

export interface Clock {
  /** Milliseconds since 1970, for what outlives the process (page tokens). */
  nowMs(): number;
  /** Milliseconds that never step back, for durations, caches and rate limits. */
  monotonicMs(): number;
}

export const systemClock: Clock = {
  nowMs: () => Date.now(),
  monotonicMs: () => performance.now(),
};

export type RandomBytes = (size: number) => Buffer;

export const systemRandom: RandomBytes = (size) => randomBytes(size);
