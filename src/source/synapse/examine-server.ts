/** Of a Synapse database, what the PostgreSQL server itself says: who got in where, and is it a server that Synapse takes? */
import { fail, type Finding, ok, warn } from '../../base/finding.js';
import type { Check, Subject } from './check.js';
import type { Connection } from './connection.js';

/** What Synapse asks for. */
const versionMin = 14;

interface ServerRow {
  readonly version: string;
  readonly version_number: number;
  readonly encoding: string;
  readonly locales: string[];
  readonly provider: string;
  readonly standby: boolean;
  readonly behind: number | null;
}

// The columns on providers of locales are newer than the oldest PostgreSQL that is taken.
const serverSql = `
  SELECT current_setting('server_version') AS version, current_setting('server_version_num')::int AS version_number,
    pg_encoding_to_char(encoding) AS encoding,
    ARRAY[datcollate::text, datctype::text] AS locales,
    coalesce(to_jsonb(d) ->> 'datlocprovider', 'c') AS provider,
    pg_is_in_recovery() AS standby,
    extract(epoch FROM now() - pg_last_xact_replay_timestamp())::float8 AS behind
  FROM pg_database d WHERE datname = current_database()`;

export const serverChecks: readonly Check[] = [{ name: 'postgres', look: examineServer }];

async function examineServer(connection: Connection, { place }: Subject): Promise<Finding[]> {
  const [server] = await connection.query<ServerRow>(serverSql);
  return [
    ok('postgres', `logged in as ${place}`),
    versionOf(server),
    encodingOf(server),
    localeOf(server),
    ...standbyOf(server),
  ];
}

function versionOf({ version, version_number: number }: ServerRow): Finding {
  if (number >= versionMin * 10_000) return ok('postgres_version', version);
  return fail('postgres_version', `${version} is too old; Synapse needs PostgreSQL ${versionMin} or later`);
}

function encodingOf({ encoding }: ServerRow): Finding {
  if (encoding === 'UTF8') return ok('postgres_encoding', encoding);
  return fail(
    'postgres_encoding',
    `${encoding}, but Synapse takes only UTF8, and the comparison of rooms counts on it; is it the right database?`,
  );
}

function localeOf({ locales: [collate, ctype], provider }: ServerRow): Finding {
  const isC = provider !== 'i' && collate === 'C' && ctype === 'C';
  if (isC) return ok('postgres_locale', 'C');
  const name = `${collate === ctype ? collate : `${collate}, ${ctype}`}${provider === 'i' ? ', by ICU' : ''}`;
  return warn(
    'postgres_locale',
    `${name}: the feed works, but Synapse itself wants C, since an upgrade of the system may break indexes of any other ` +
      'one; see "Fixing incorrect COLLATE or CTYPE" in the documentation of Synapse',
  );
}

function standbyOf({ standby, behind }: ServerRow): Finding[] {
  if (!standby) return [];
  // It is the age of the last transaction: a primary where nothing happens looks like lag.
  const last = behind === null ? '' : `; the last transaction it replayed is ${Math.round(behind)} s old`;
  return [ok('postgres_standby', `a hot standby: changes are seen when it has replayed them${last}`)];
}
