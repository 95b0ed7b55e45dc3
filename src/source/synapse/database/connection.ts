/**
 * A connection to the homeserver's PostgreSQL, and the only import of pg and pg-copy-streams. It is for one reader that takes one
 * answer after another.
 *
 * Whatever fails ends the connection: who knows what state it is in? Whoever opened it opens another one.
 * A server that falls silent fails, too: every answer, and every piece of a long one, has so long to come (`Patience`).
 */
import { Client, DatabaseError, escapeLiteral, type ClientConfig } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import type { Change } from '../../../base/change.js';
import { PublicError } from '../../../base/errors.js';
import { CopyRows } from './copy-rows.js';

/** Where the database is, and as whom it is read. */
export interface PostgresOptions {
  /** A URL has it all, but perhaps the password. */
  readonly url?: string | undefined;
  readonly host?: string | undefined;
  readonly port?: number | undefined;
  readonly user?: string | undefined;
  readonly database?: string | undefined;
  readonly password?: string | undefined;
  /** Whether to speak TLS, with a certificate that Node trusts. A URL says it as `sslmode`. */
  readonly tls?: boolean | undefined;
}

/** How long an answer is waited for. */
export interface Patience {
  /** Until the server has let the role in. */
  readonly connectMsMax: number;
  /** For every answer after that. Each piece of a long one has a minute, or this where it is more. */
  readonly silenceMsMax: number;
}

export interface ConnectionOptions {
  /** Default: 10 s, and 15 s. */
  readonly patience?: Patience;
  /** Ends the connection, whatever it waits for. */
  readonly signal?: AbortSignal;
}

const defaultPatience: Patience = { connectMsMax: 10_000, silenceMsMax: 15_000 };

const pieceMsMax = 60_000;

/**
 * What a connection sets for itself, whatever the role, the database or the server has, as pg_dump does: a copy takes as long as it
 * takes, and a connection that compares rests in between. Whether an answer comes is watched from here (`Patience`).
 *
 * One process of the server does the work, and none compiles: estimates of what a feed asks are far off now and then. A query whose
 * asker is gone ends after a few seconds, with its locks.
 */
export const ownSettings = {
  statement_timeout: '0',
  lock_timeout: '0',
  idle_in_transaction_session_timeout: '0',
  idle_session_timeout: '0',
  transaction_timeout: '0',
  default_transaction_isolation: 'read committed',
  jit: 'off',
  max_parallel_workers_per_gather: '0',
  client_connection_check_interval: '5s',
} as const;

/** Those that this server has: each came with some version of PostgreSQL. Servers on other systems cannot look for who is gone. */
const settingsQuery = `
  SELECT set_config(own.name, own.value, false) FROM unnest($1::text[], $2::text[]) AS own (name, value)
  JOIN pg_settings USING (name)
  WHERE own.name <> 'client_connection_check_interval' OR version() LIKE '%linux%'`;

/** Bytes of a COPY that are read ahead. */
const readAheadBytes = 256 * 1024;

/** Text as SQL writes it, for queries without parameters. */
export function literal(text: string): string {
  // It begins with a space where it holds backslashes.
  return escapeLiteral(text).trimStart();
}

export class Connection {
  readonly #client: Client;
  readonly #silenceMsMax: number;
  readonly #signal: AbortSignal | undefined;
  readonly #onAbort = (): void => void this.#lose(new Error('the connection is closed'));
  #lost: Error | undefined;
  /** How many came. */
  #answers = 0;
  #isAsking = false;
  /** How long the next answer may take, where the server may be gone. */
  #doubtMs = Infinity;

  /** @throws what PostgreSQL or the network says: postgres-fault.ts has words for it */
  static async open(
    options: PostgresOptions,
    { patience = defaultPatience, signal }: ConnectionOptions = {},
  ): Promise<Connection> {
    const client = new Client(clientConfig(options, patience.connectMsMax));
    const connection = new Connection(client, patience.silenceMsMax, signal);
    try {
      await client.connect();
      connection.doubt(patience.connectMsMax);
      await connection.query(settingsQuery, [Object.keys(ownSettings), Object.values(ownSettings)]);
      return connection;
    } catch (error) {
      connection.close();
      throw error;
    }
  }

  private constructor(client: Client, silenceMsMax: number, signal: AbortSignal | undefined) {
    this.#client = client;
    this.#silenceMsMax = silenceMsMax;
    this.#signal = signal;
    signal?.addEventListener('abort', this.#onAbort);
    if (signal?.aborted === true) this.#onAbort();
    // Without a listener, losing the server would end the process.
    client.on('error', (error) => (this.#lost ??= error));
  }

  /** @returns the rows. A statement with a name is parsed once. */
  async query<Row extends object>(
    text: string,
    values: readonly unknown[] = [],
    name?: string,
  ): Promise<Row[]> {
    this.#checkUsable();
    this.#isAsking = true;
    try {
      const query = {
        text,
        values: [...values],
        query_timeout: Math.min(this.#silenceMsMax, this.#doubtMs),
        ...(name === undefined ? {} : { name }),
      };
      const { rows } = await this.#client.query<Row>(query);
      this.#answers += 1;
      this.#doubtMs = Infinity;
      return rows;
    } catch (error) {
      throw this.#lose(error);
    } finally {
      this.#isAsking = false;
    }
  }

  /**
   * What a query of three columns says, in pieces as they come: room, user, and whether the user is joined (NULL is no). Memory is
   * bounded, however long the answer is.
   * @param query holds no parameters: COPY takes none
   */
  async *copyMemberships(query: string): AsyncGenerator<Change[]> {
    this.#checkUsable();
    const stream = this.#client.query(copyTo(`COPY (${query}) TO STDOUT`, { highWaterMark: readAheadBytes }));
    const silenceMsMax = Math.max(pieceMsMax, this.#silenceMsMax);
    const listen = (): NodeJS.Timeout =>
      setTimeout(() => {
        stream.destroy(new Error(`PostgreSQL said nothing for ${silenceMsMax / 1000} s`));
      }, silenceMsMax);
    let silence = listen();
    let isWhole = false;
    try {
      const rows = new CopyRows();
      for await (const piece of stream) {
        // What the reader does with it takes as long as it takes.
        clearTimeout(silence);
        yield rows.read(piece as Buffer);
        silence = listen();
      }
      rows.end();
      isWhole = true;
    } catch (error) {
      throw this.#lose(error);
    } finally {
      clearTimeout(silence);
      // Who stops reading in the middle leaves the rest on the wire.
      if (!isWhole) this.#lose(new Error('a COPY was broken off'));
    }
  }

  /** The server may be gone: the answer that is waited for, or else the next one, is so long in coming at most. Not for a COPY. */
  doubt(ms: number): void {
    if (!this.#isAsking) {
      this.#doubtMs = ms;
      return;
    }
    const before = this.#answers;
    const giveUp = (): void => {
      if (this.#answers === before) this.#lose(new Error(`PostgreSQL said nothing for ${ms / 1000} s`));
    };
    setTimeout(giveUp, ms).unref();
  }

  close(): void {
    this.#signal?.removeEventListener('abort', this.#onAbort);
    this.#lost ??= new Error('the connection is closed');
    // It says goodbye in its own time; a server that does not answer is not waited for.
    this.#client.end().catch(() => undefined);
    setTimeout(() => this.#destroy(), 1000).unref();
  }

  #checkUsable(): void {
    if (this.#lost !== undefined) throw this.#lost;
  }

  #lose(error: unknown): Error {
    this.#lost ??= error instanceof Error ? error : new Error(String(error));
    this.#destroy();
    return this.#lost;
  }

  #destroy(): void {
    const { connection } = this.#client as unknown as { connection: { stream: { destroy(): void } } };
    connection.stream.destroy();
  }
}

/** Whether it may be the way to the server that failed, or the server as a whole: neither it nor this program said so. */
export function isOfTheWay(error: unknown): boolean {
  return !(error instanceof DatabaseError || error instanceof PublicError);
}

/**
 * Who would be logged in where, for people: what the options leave out is as the environment (PGHOST and its like) has it.
 * Holds no password. Connects to nothing.
 */
export function placeOf(options: PostgresOptions): string {
  const { user, host, port, database } = new Client(clientConfig(options, 0));
  const where = host.startsWith('/') ? host : `${host.includes(':') ? `[${host}]` : host}:${port}`;
  return `${user} at database ${database} on ${where}`;
}

function clientConfig({ url, tls, ...rest }: PostgresOptions, connectMsMax: number): ClientConfig {
  const given = Object.fromEntries(Object.entries(rest).filter(([, value]) => value !== undefined));
  return {
    ...(url === undefined ? {} : { connectionString: url }),
    ...given,
    ...(tls === undefined ? {} : { ssl: tls }),
    application_name: 'mutual-rooms',
    connectionTimeoutMillis: connectMsMax,
    keepAlive: true,
    keepAliveInitialDelayMillis: 10_000,
  };
}
