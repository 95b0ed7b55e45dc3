/**
 * Access tokens written down by the operator, for demos and tests: a table of token to user, without a homeserver.
 *
 * Invariant: the keys of the table are hashes, so the time of a look-up says nothing about how close a guess was.
 */
import { MatrixError } from '../base/matrix-error.js';
import type { Asker, Authenticator, Credentials } from './authenticator.js';
import { tokenHash } from './token-hash.js';

export class StaticAuthenticator implements Authenticator {
  readonly #askers = new Map<string, Asker>();

  /** @param userIds by access token */
  constructor(userIds: ReadonlyMap<string, string>) {
    for (const [token, userId] of userIds) this.#askers.set(tokenHash(token), { userId, isGuest: false });
  }

  find(accessToken: string): Asker | undefined {
    return this.#askers.get(tokenHash(accessToken));
  }

  async whoAsks({ accessToken }: Credentials): Promise<Asker> {
    const asker = this.find(accessToken);
    if (asker === undefined)
      throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'this access token is not known here');
    return asker;
  }

  async close(): Promise<void> {
    // Nothing is open.
  }
}
