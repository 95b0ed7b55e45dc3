/**
 * Remembers who a token belongs to, around any function that finds it out. One call in flight for each token, and a bound
 * on the calls in all, so that neither a busy client nor a flood of made-up tokens reaches the homeserver as such.
 *
 * Accepted tokens are believed for `ttlMs`, which is also how long a log-out takes to be noticed. Of the errors only 401 is
 * remembered, briefly and apart, so that made-up tokens displace no accepted one; a 403, 429 or 5xx is asked for anew.
 *
 * Invariant: the token itself is nowhere in here, only its hash.
 * Cost of a hit: a hash and a look-up, about 3 us, a third of it the hash.
 */
import { LRUCache } from 'lru-cache';
import { systemClock, type Clock } from '../base/clock.js';
import { MatrixError } from '../base/matrix-error.js';
import type { Asker, Authenticator, Credentials } from './authenticator.js';
import { lookUpsMax, refusedTokensMax } from './bounds.js';
import { tokenHash } from './token-hash.js';

export type WhoAsks = (credentials: Credentials) => Promise<Asker>;

export interface CacheOptions {
  /** 0 joins concurrent calls and remembers nothing. */
  readonly ttlMs: number;
  readonly entriesMax: number;
  /** 0 asks again for every refused token. */
  readonly negativeTtlMs: number;
  readonly negativeEntriesMax?: number;
  readonly callsInFlightMax?: number;
}

export class CachedAuthenticator implements Authenticator {
  readonly #ask: WhoAsks;
  readonly #accepted: LRUCache<string, Asker> | undefined;
  readonly #refused: LRUCache<string, MatrixError> | undefined;
  readonly #inFlight = new Map<string, Promise<Asker>>();
  readonly #callsInFlightMax: number;

  constructor(ask: WhoAsks, options: CacheOptions, clock: Clock = systemClock) {
    const {
      ttlMs,
      entriesMax,
      negativeTtlMs,
      negativeEntriesMax = refusedTokensMax,
      callsInFlightMax = lookUpsMax,
    } = options;
    this.#ask = ask;
    this.#accepted = cacheOf(entriesMax, ttlMs, clock);
    this.#refused = cacheOf(negativeEntriesMax, negativeTtlMs, clock);
    this.#callsInFlightMax = callsInFlightMax;
  }

  /** How many tokens are known, and how many are being looked up. */
  get size(): { readonly accepted: number; readonly refused: number; readonly inFlight: number } {
    return {
      accepted: this.#accepted?.size ?? 0,
      refused: this.#refused?.size ?? 0,
      inFlight: this.#inFlight.size,
    };
  }

  async whoAsks(credentials: Credentials): Promise<Asker> {
    const key = tokenHash(credentials.accessToken);
    const asker = this.#accepted?.get(key);
    if (asker !== undefined) return asker;
    const refusal = this.#refused?.get(key);
    if (refusal !== undefined) throw refusal;
    return this.#inFlight.get(key) ?? this.#call(key, credentials);
  }

  async close(): Promise<void> {
    await Promise.allSettled(this.#inFlight.values());
    this.#accepted?.clear();
    this.#refused?.clear();
  }

  #call(key: string, credentials: Credentials): Promise<Asker> {
    if (this.#inFlight.size >= this.#callsInFlightMax) {
      throw new MatrixError(503, 'M_UNKNOWN', 'too many access tokens are being checked; try again later', {
        retryAfterSeconds: 1,
      });
    }
    // `finally` runs after the entry is made, even when the call is over at once.
    const call = this.#askAndRemember(key, credentials).finally(() => this.#inFlight.delete(key));
    this.#inFlight.set(key, call);
    return call;
  }

  async #askAndRemember(key: string, credentials: Credentials): Promise<Asker> {
    try {
      const asker = await this.#ask(credentials);
      this.#accepted?.set(key, asker);
      return asker;
    } catch (error) {
      if (error instanceof MatrixError && error.status === 401) this.#refused?.set(key, error);
      throw error;
    }
  }
}

function cacheOf<Value extends object>(
  max: number,
  ttlMs: number,
  clock: Clock,
): LRUCache<string, Value> | undefined {
  if (ttlMs <= 0) return undefined;
  return new LRUCache<string, Value>({
    max,
    // It takes whole milliseconds only.
    ttl: Math.ceil(ttlMs),
    // It reads a start of 0 as "never expires", and a clock may begin at 0.
    perf: { now: () => clock.monotonicMs() + 1 },
    // Without this it arms a timer of its own to read the clock less often.
    ttlResolution: 0,
  });
}
