/**
 * How often one user may ask: a bucket of `burst` requests that refills at `perSecond`, kept as one number a user (the
 * generic cell rate algorithm). No timers; users beyond `ratedUsersMax` that asked longest ago are forgotten, and so forgiven.
 *
 * Not a library's: the well-known ones count in fixed windows or arm a timer for every user, and answer with a promise.
 * Cost: one look-up in an LRU cache.
 */
import { LRUCache } from 'lru-cache';
import { systemClock, type Clock } from '../base/clock.js';
import { ratedUsersMax } from './bounds.js';

export class RateLimit {
  readonly #intervalMs: number;
  readonly #toleranceMs: number;
  readonly #clock: Clock;
  /** When each user's bucket will be full again. */
  readonly #fullAtMs = new LRUCache<string, number>({ max: ratedUsersMax });

  /** @param perSecond above 0; @param burst at least 1 */
  constructor(perSecond: number, burst: number, clock: Clock = systemClock) {
    this.#intervalMs = 1000 / perSecond;
    this.#toleranceMs = this.#intervalMs * burst;
    this.#clock = clock;
  }

  /** Takes one request. @returns 0 when it is allowed, else milliseconds until the next one is */
  take(userId: string): number {
    const now = this.#clock.monotonicMs();
    const fullAt = Math.max(this.#fullAtMs.get(userId) ?? now, now) + this.#intervalMs;
    const excess = fullAt - now - this.#toleranceMs;
    // A fraction of a rounding error is no excess.
    if (excess > 1e-6) return excess;
    this.#fullAtMs.set(userId, fullAt);
    return 0;
  }
}
