/**
 * Remembers whom a token belongs to, around any function that finds that out. Each token has one call in flight, and all
 * calls together have a bound. So neither a busy client nor a flood of made-up tokens floods the homeserver.
 *
 * Accepted tokens are believed for `ttlMs`: that long a token works after its user has logged out. Of the errors only a 401 is
 * remembered, for a short time and in a table of its own, so that made-up tokens displace no accepted one.
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
  /** With 0, calls for one token at the same time are one call, and nothing is remembered. */
  readonly ttlMs: number;
  readonly entriesMax: number;
  /** With 0, every refused token is asked about again. */
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
