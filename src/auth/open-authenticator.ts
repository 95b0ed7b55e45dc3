/**
 * The authenticator that a configuration asks for. With neither tokens nor a homeserver, it refuses everyone.
 */
import { assert } from '../base/assert.js';
import { systemClock, type Clock } from '../base/clock.js';
import type { Authenticator } from './authenticator.js';
import { CachedAuthenticator, type CacheOptions } from './cached-authenticator.js';
import { CombinedAuthenticator } from './combined-authenticator.js';
import type { Homeserver } from './homeserver.js';
import { StaticAuthenticator } from './static-authenticator.js';

export interface AuthenticatorOptions {
  /** User IDs by access token. */
  readonly staticTokens: ReadonlyMap<string, string>;
  /** Closed together with the authenticator. */
  readonly homeserver?: Homeserver | undefined;
  /** Comes with a homeserver. */
  readonly cache?: CacheOptions | undefined;
  readonly clock?: Clock;
}

export function openAuthenticator(options: AuthenticatorOptions): Authenticator {
  const { staticTokens, homeserver, cache, clock = systemClock } = options;
  const table = new StaticAuthenticator(staticTokens);
  if (homeserver === undefined) return table;
  assert(cache !== undefined, 'a homeserver comes with the options of its cache');
  const cached = new CachedAuthenticator((credentials) => homeserver.whoami(credentials), cache, clock);
  // An empty table would only cost a hash.
  const authenticator = staticTokens.size === 0 ? cached : new CombinedAuthenticator(table, cached);
  return {
    whoAsks: (credentials) => authenticator.whoAsks(credentials),
    close: async () => {
      await authenticator.close();
      await homeserver.close();
    },
  };
}
