/**
 * What the feed reads of Synapse's database, column by column, and the SQL that makes a role which may read just that.
 *
 * A query that reads another column needs it in `grantedTables`: the SQL and `doctor` go by it.
 * Invariants: the SQL can be run again, through any client, and does all of it or nothing. It refuses a role that writes here:
 * Synapse's own would be made read-only.
 */
import { PublicError } from '../../../base/errors.js';
import { literal } from './connection.js';

export interface GrantedTable {
  readonly table: string;
  readonly columns: readonly string[];
  /** What for. */
  readonly purpose: string;
}

export const grantedTables: readonly GrantedTable[] = [
  {
    table: 'current_state_events',
    columns: ['room_id', 'type', 'state_key', 'membership'],
    purpose: 'who is joined to which room',
  },
  {
    table: 'current_state_delta_stream',
    columns: ['stream_id', 'room_id', 'type', 'state_key', 'event_id'],
    purpose: 'what has changed, and whether a change that was read is still there after a restore',
  },
  {
    table: 'events',
    columns: ['stream_ordering'],
    purpose: 'which numbers of the stream are taken: nothing of an event itself',
  },
  {
    table: 'ex_outlier_stream',
    columns: ['event_stream_ordering'],
    purpose: 'the other numbers of the same stream',
  },
  {
    table: 'stream_positions',
    columns: ['stream_name', 'instance_name', 'stream_id'],
    purpose: 'how far each process of Synapse has written',
  },
  {
    table: 'cache_invalidation_stream_by_instance',
    columns: ['stream_id', 'cache_func'],
    purpose: 'that some room was purged; never the keys, which hold access tokens',
  },
  { table: 'rooms', columns: ['room_id'], purpose: 'which rooms are there still' },
  {
    table: 'partial_state_rooms',
    columns: ['room_id'],
    purpose: 'of which rooms Synapse does not know all members yet',
  },
  {
    table: 'background_updates',
    columns: ['update_name'],
    purpose: 'what Synapse still converts, index by index',
  },
  { table: 'schema_version', columns: ['version'], purpose: 'which tables and columns there are' },
  { table: 'schema_compat_version', columns: ['compat_version'], purpose: 'how old a reader may be' },
];

export interface GrantNames {
  readonly role: string;
  readonly database: string;
  /** Of Synapse's tables. */
  readonly schema: string;
}

/** PostgreSQL cuts longer names off, and would not find them again by what was given. */
const nameBytesMax = 63;

/** @throws PublicError when a name is none */
export function grantsSql(names: GrantNames): string {
  for (const [what, name] of Object.entries(names)) checkName(what, name as string);
  const [role, database, schema] = [names.role, names.database, names.schema].map(identifier);
  const grants = grantedTables.map(
    ({ table, columns, purpose }) =>
      `-- ${purpose}\nGRANT SELECT (${columns.join(', ')}) ON ${schema}.${table} TO ${role};\n`,
  );
  return `\
-- A role that may read what mutual-rooms needs to follow Synapse, and nothing else. Running it again does no harm.
-- Run it in Synapse's database as a superuser, such as with: psql -v ON_ERROR_STOP=1 -d ${database}
BEGIN;

-- the role, unless it is there; one that writes to Synapse's tables is left alone, since Synapse may need it to
${makeRole(names)}
-- few connections: they are Synapse's, too
ALTER ROLE ${role} LOGIN NOINHERIT CONNECTION LIMIT 10;
-- a seat belt: the grants below are what keeps it from writing
ALTER ROLE ${role} SET default_transaction_read_only = on;
-- where its queries find the tables
ALTER ROLE ${role} IN DATABASE ${database} SET search_path = ${schema};
-- the way to the tables
GRANT CONNECT ON DATABASE ${database} TO ${role};
GRANT USAGE ON SCHEMA ${schema} TO ${role};

${grants.join('')}
COMMIT;

-- It has no password yet. In psql, this asks for one and sends it encrypted: \\password ${role}
-- Where pg_hba.conf does not let it in: host ${database} ${role} 127.0.0.1/32 scram-sha-256
`;
}

function makeRole({ role, database, schema }: GrantNames): string {
  const table = literal(`${identifier(schema)}.current_state_events`);
  return dollarQuoted(`
BEGIN
  IF current_database() <> ${literal(database)} THEN
    RAISE EXCEPTION 'this is database "%", not "%"', current_database(), ${literal(database)};
  ELSIF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = ${literal(role)}) THEN
    CREATE ROLE ${identifier(role)};
  ELSIF has_table_privilege(${literal(role)}, ${table}, 'INSERT, UPDATE, DELETE') THEN
    RAISE EXCEPTION 'role "%" writes to the tables of Synapse: choose another one', ${literal(role)};
  END IF;
END
`);
}

/** Names stand in comments as well, which end at a newline. */
function checkName(what: string, name: string): void {
  const bytes = Buffer.byteLength(name);
  if (bytes === 0 || bytes > nameBytesMax || /\p{Cc}/u.test(name)) {
    throw new PublicError(
      'INVALID',
      `${JSON.stringify(name)} cannot be the ${what}: a name has 1 to ${nameBytesMax} bytes and no control characters`,
    );
  }
}

function identifier(name: string): string {
  return `"${name.replaceAll('"', '""')}"`;
}

/** Names may hold dollars. */
function dollarQuoted(body: string): string {
  let tag = '$do$';
  while (body.includes(tag)) tag = `$_${tag.slice(1)}`;
  return `DO ${tag}${body}${tag};`;
}
