/**
 * The operator's table first, then everyone else: a token of the table is never sent to the homeserver.
 */
import type { Asker, Authenticator, Credentials } from './authenticator.js';
import type { StaticAuthenticator } from './static-authenticator.js';

export class CombinedAuthenticator implements Authenticator {
  readonly #table: StaticAuthenticator;
  readonly #others: Authenticator;

  constructor(table: StaticAuthenticator, others: Authenticator) {
    this.#table = table;
    this.#others = others;
  }

  async whoAsks(credentials: Credentials): Promise<Asker> {
    return this.#table.find(credentials.accessToken) ?? this.#others.whoAsks(credentials);
  }

  async close(): Promise<void> {
    await this.#table.close();
    await this.#others.close();
  }
}
