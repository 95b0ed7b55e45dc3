/**
 * Tells whether a room was purged. Synapse tells its workers so in the table by which it invalidates their caches. The column that
 * names the room holds access tokens as well, so the role may not read it. That there was a purge is enough to sweep sooner.
 *
 * Only what is new is read: the table has a week of rows, and no index on what they say.
 */
import type { Connection } from '../database/connection.js';

/** How far below the highest id it looks again: ids of this table become visible out of order, too. */
const lookBack = 1_000;

export class PurgeWatch {
  readonly #connection: Connection;
  #seen: number;
  /** Those in the last look. */
  #purges: ReadonlySet<number> = new Set();

  /** @returns undefined where the role may not see it, and on the standby of a time when there was no such table */
  static async open(connection: Connection): Promise<PurgeWatch | undefined> {
    const [{ allowed }] = await connection.query<{ allowed: boolean | null }>(
      `SELECT bool_and(has_column_privilege(t, c, 'SELECT')) AS allowed
       FROM to_regclass('cache_invalidation_stream_by_instance') AS t, unnest(ARRAY['stream_id', 'cache_func']) AS c`,
    );
    if (allowed !== true) return undefined;
    const [{ seen }] = await connection.query<{ seen: number | null }>(
      'SELECT max(stream_id)::float8 AS seen FROM cache_invalidation_stream_by_instance',
    );
    const watch = new PurgeWatch(connection, seen ?? 0);
    await watch.wasPurged();
    return watch;
  }

  private constructor(connection: Connection, seen: number) {
    this.#connection = connection;
    this.#seen = seen;
  }

  /** Whether there was a purge since the last call. */
  async wasPurged(): Promise<boolean> {
    const [{ seen, purges }] = await this.#connection.query<{ seen: number | null; purges: number[] | null }>(
      `SELECT max(stream_id)::float8 AS seen,
         array_agg(stream_id::float8) FILTER (WHERE cache_func = 'dr_cache_fake') AS purges
       FROM cache_invalidation_stream_by_instance WHERE stream_id > $1`,
      [this.#seen - lookBack],
    );
    this.#seen = Math.max(this.#seen, seen ?? 0);
    const isNew = (purges ?? []).some((id) => !this.#purges.has(id));
    this.#purges = new Set(purges);
    return isNew;
  }
}
