/**
 * Checks what the role may read in a Synapse database: it should be all that the feed reads (`grantedTables`) and nothing else.
 *
 * It asks the catalogue rather than trying: a refused statement would end the connection, and secrets must not be read to find out
 * that they can be.
 */
import { fail, type Finding, ok, warn } from '../../../base/finding.js';
import type { Check, Subject } from './check.js';
import type { Connection } from '../database/connection.js';
import { grantedTables } from '../database/grants.js';

export const accessChecks: readonly Check[] = [
  { name: 'synapse_tables', look: examineAccess },
  { name: 'synapse_rights', look: examineRights },
];

interface ColumnRow {
  readonly table_name: string;
  readonly column_name: string;
  readonly table_found: boolean;
  /** Where a table of this name is that an unqualified name does not lead to. */
  readonly elsewhere: string | null;
  readonly column_found: boolean;
  readonly readable: boolean;
}

const columnsSql = `
  SELECT wanted.table_name, wanted.column_name, class IS NOT NULL AS table_found, attnum IS NOT NULL AS column_found,
    coalesce(has_column_privilege(class, attnum, 'SELECT'), false) AS readable,
    (SELECT min(nspname::text) FROM pg_class JOIN pg_namespace n ON n.oid = relnamespace
      WHERE class IS NULL AND relname = wanted.table_name AND relkind IN ('r', 'p')) AS elsewhere
  FROM unnest($1::text[], $2::text[]) WITH ORDINALITY AS wanted (table_name, column_name, place)
  CROSS JOIN LATERAL (SELECT to_regclass(wanted.table_name)::oid AS class) AS named
  LEFT JOIN pg_attribute ON attrelid = class AND attname = wanted.column_name AND NOT attisdropped
  ORDER BY place`;

async function examineAccess(connection: Connection, subject: Subject): Promise<Finding[]> {
  const wanted = grantedTables.flatMap(({ table, columns }) => columns.map((column) => [table, column]));
  const rows = await connection.query<ColumnRow>(columnsSql, [
    wanted.map(([table]) => table),
    wanted.map(([, column]) => column),
  ]);
  for (const { table } of grantedTables) {
    const columns = rows.filter((row) => row.table_name === table);
    if (columns.every(({ readable }) => readable)) subject.readable.add(table);
  }
  const found = rows.filter(({ table_found: is }) => is);
  const findings = [tablesOf(rows)];
  if (found.length > 0) findings.push(grantsOf(found.filter(({ column_found: is }) => is)));
  return findings;
}

function tablesOf(rows: readonly ColumnRow[]): Finding {
  const name = 'synapse_tables';
  const tables = [...new Set(rows.map((row) => row.table_name))];
  const missing = rows.filter((row) => !row.table_found);
  const missingTables = [...new Set(missing.map((row) => row.table_name))];
  const elsewhere = missing.flatMap((row) => row.elsewhere ?? []).at(0);
  if (elsewhere !== undefined) {
    return fail(
      name,
      `${missingTables.join(', ')}: not where the role looks, but in the schema "${elsewhere}"; run the SQL that ` +
        `"mutual-rooms grants --schema ${elsewhere}" prints`,
    );
  }
  if (missingTables.length === tables.length) {
    return fail(
      name,
      'none of them is there; correct the database in source.synapse.postgres, or start Synapse once: it makes them',
    );
  }
  const columns = rows.filter((row) => row.table_found && !row.column_found).map(columnText);
  if (missingTables.length > 0 || columns.length > 0) {
    return fail(
      name,
      `${[...missingTables, ...columns].join(', ')}: not there; this Synapse is older or newer than this program ` +
        'knows: update whichever is older',
    );
  }
  return ok(name, `all ${tables.length} that are read are there`);
}

function grantsOf(rows: readonly ColumnRow[]): Finding {
  const refused = rows.filter(({ readable }) => !readable).map(columnText);
  if (refused.length === 0) return ok('synapse_grants', 'every column that is read may be read');
  return fail(
    'synapse_grants',
    `the role may not read ${refused.join(', ')}; run the SQL that "mutual-rooms grants" prints`,
  );
}

function columnText({ table_name: table, column_name: column }: ColumnRow): string {
  return `${table}.${column}`;
}

/** Secrets, and what the feed has no use for. Without a column: any column of the table. */
const better = [
  ['cache_invalidation_stream_by_instance', 'keys'],
  ['access_tokens', null],
  ['users', null],
  ['event_json', null],
] as const;

interface RightsRow {
  readonly superuser: boolean;
  readonly writes: boolean;
  readonly creates: boolean;
  readonly reads: string[];
}

const rightsSql = `
  SELECT
    (SELECT rolsuper FROM pg_roles WHERE rolname = current_user) AS superuser,
    coalesce(has_table_privilege(to_regclass('current_state_events')::oid, 'INSERT, UPDATE, DELETE, TRUNCATE'), false)
      AS writes,
    coalesce(has_schema_privilege(current_schema(), 'CREATE'), false) AS creates,
    ARRAY(
      SELECT concat_ws('.', secret.table_name, secret.column_name)
      FROM unnest($1::text[], $2::text[]) AS secret (table_name, column_name)
      LEFT JOIN pg_attribute ON attrelid = to_regclass(secret.table_name)::oid AND attname = secret.column_name
      WHERE CASE WHEN secret.column_name IS NULL
        THEN has_any_column_privilege(to_regclass(secret.table_name)::oid, 'SELECT')
        ELSE has_column_privilege(attrelid, attnum, 'SELECT') END
    ) AS reads`;

async function examineRights(connection: Connection): Promise<Finding[]> {
  const [{ superuser, writes, creates, reads }] = await connection.query<RightsRow>(rightsSql, [
    better.map(([table]) => table),
    better.map(([, column]) => column),
  ]);
  const name = 'synapse_rights';
  const own = 'give it a role of its own, which the SQL that "mutual-rooms grants" prints makes';
  if (superuser) return [warn(name, `the role is a superuser; ${own}`)];
  if (writes) return [warn(name, `the role may write to the tables of Synapse; ${own}`)];
  const findings: Finding[] = [];
  if (reads.length > 0) {
    findings.push(
      warn(name, `the role may read ${reads.join(', ')}, which nothing here needs; revoke that, or ${own}`),
    );
  }
  if (creates) {
    findings.push(
      warn(
        name,
        'the role may make tables in the schema of Synapse, as every role of an older PostgreSQL may; revoke CREATE on ' +
          "it from PUBLIC, once Synapse's own role has it by name",
      ),
    );
  }
  return findings.length > 0 ? findings : [ok(name, 'the role reads what is needed, and writes nothing')];
}
