/** Checks the PostgreSQL server of a Synapse database: who is logged in where, and whether it is a server that Synapse supports. */
import { fail, type Finding, ok, warn } from '../../../base/finding.js';
import { type Check, statementMsMax, type Subject } from './check.js';
import type { Connection } from '../database/connection.js';

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

export const serverChecks: readonly Check[] = [
  { name: 'postgres', look: examineServer },
  { name: 'postgres_timeouts', look: examineTimeouts },
];

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
  // This is the age of the last transaction, so a primary where nothing happens looks like a lag.
  const last = behind === null ? '' : `; the last transaction it replayed is ${Math.round(behind)} s old`;
  return [ok('postgres_standby', `a hot standby: changes are seen when it has replayed them${last}`)];
}

interface TimeoutRow {
  readonly name: string;
  /** What holds on this connection. */
  readonly now: string;
  readonly is_own: boolean;
  /** What the role, the database or the server has, in milliseconds; 0 is none. */
  readonly elsewhere: number;
}

/** Of those that a connection sets for itself, the ones that end it. */
const timeouts = [
  'statement_timeout',
  'lock_timeout',
  'idle_in_transaction_session_timeout',
  'idle_session_timeout',
  'transaction_timeout',
];

async function examineTimeouts(connection: Connection): Promise<Finding[]> {
  const name = 'postgres_timeouts';
  const rows = await connection.query<TimeoutRow>(
    `SELECT name, current_setting(name) AS now, reset_val::int AS elsewhere,
       setting::int = CASE name WHEN 'statement_timeout' THEN $2::int ELSE 0 END AS is_own
     FROM pg_settings WHERE name = ANY($1) ORDER BY name`,
    [timeouts, statementMsMax],
  );
  const kept = rows.filter((row) => !row.is_own);
  if (kept.length > 0) {
    return [
      warn(
        name,
        `the feed cannot switch off ${kept.map((row) => `${row.name} (${row.now})`).join(', ')}: a copy of all ` +
          'memberships, or a rest between two comparisons, may take longer and is ended then; set it to 0 with ALTER ROLE, ' +
          'and connect straight to the server, not to a pooler',
      ),
    ];
  }
  const others = rows.filter((row) => row.elsewhere > 0);
  if (others.length === 0) return [ok(name, 'none')];
  const names = others.map((row) => `${row.name} (${row.elsewhere / 1000} s)`).join(', ');
  return [ok(name, `${names}; the feed switches that off on its own connections`)];
}
