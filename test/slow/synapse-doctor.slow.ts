/**
 * Does the role that `grants` makes read what the feed reads and nothing else, and does `doctor` find what can be wrong with a
 * Synapse database? On a real PostgreSQL, where every fault is made for real. What the tables hold is written by hand; that the feed
 * of a real Synapse runs as this role is for synapse-feed.slow.ts.
 */
import { execFile } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { Client } from 'pg';
import { afterAll, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import { run } from '../../src/commands/program.js';
import { grantsSql } from '../../src/source/synapse/database/grants.js';
import { fakeTerminal } from '../commands/fake-terminal.js';
import { findProgram, missingOf, NotInstalled } from '../servers/find-program.js';
import { freePort } from '../servers/free-port.js';
import { findPostgresPrograms, postgresOwner } from '../servers/postgres-programs.js';
import { PostgresServer } from '../servers/postgres-server.js';

const tablesSql =
  readFileSync(new URL('../source/synapse-tables.sql', import.meta.url), 'utf8') +
  `
  CREATE TABLE users (name text, password_hash text);
  CREATE TABLE access_tokens (token text);
  CREATE TABLE event_json (event_id text, json text);`;

const contentSql = `
  INSERT INTO current_state_events (event_id, room_id, type, state_key, membership)
    SELECT 'm' || room || '-' || person, '!room' || room || ':example.org', 'm.room.member',
      '@user' || person || CASE person WHEN 0 THEN ':example.org' ELSE ':elsewhere.example' END, 'join'
    FROM generate_series(1, 40) AS room, generate_series(0, 9) AS person;
  INSERT INTO stream_positions VALUES ('events', 'persist1', 1234), ('events', 'persist2', 1200), ('caches', 'x', 7);
  ANALYZE current_state_events;`;

const role = 'mutual_rooms';
const password = 'not a secret';

const missing = missingOf(() => {
  findPsql();
  postgresOwner();
});

describe.skipIf(missing !== undefined)(
  `a real PostgreSQL${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let postgres: PostgresServer;
    let databases = 0;

    beforeAll(async () => {
      postgres = await PostgresServer.open();
    });

    afterAll(async () => {
      await (postgres as PostgresServer | undefined)?.close();
    });

    interface DatabaseOptions {
      /** How CREATE DATABASE words it. */
      readonly like?: string;
      readonly schema?: string;
      /** Default: the tables with something in them. */
      readonly sql?: string;
      /** Whether the role is made. Default: true. */
      readonly grants?: boolean;
    }

    /** @returns the name of a database as Synapse makes it */
    async function makeDatabase(options: DatabaseOptions = {}): Promise<string> {
      const { schema = 'public', sql = tablesSql + contentSql, grants = true } = options;
      const { like = "ENCODING UTF8 LC_COLLATE 'C' LC_CTYPE 'C'" } = options;
      const database = `synapse${(databases += 1)}`;
      await postgres.query('postgres', `CREATE DATABASE ${database} ${like} TEMPLATE template0`);
      await postgres.query(
        database,
        `CREATE SCHEMA IF NOT EXISTS ${schema}; SET search_path = ${schema}; ${sql}`,
      );
      if (grants) {
        await psql(database, grantsSql({ role, database, schema }));
        await postgres.query(database, `ALTER ROLE ${role} PASSWORD '${password}'`);
      }
      return database;
    }

    /** As an operator runs it. */
    async function psql(database: string, sql: string): Promise<string> {
      const { host, port, superuser } = postgres;
      const child = promisify(execFile)(
        findPsql(),
        [
          ...['--host', host, '--port', String(port), '--username', superuser, '--dbname', database],
          ...['--no-psqlrc', '--quiet', '--set', 'ON_ERROR_STOP=1'],
        ],
        { env: { ...process.env, PGPASSWORD: postgres.password }, timeout: 20_000 },
      );
      child.child.stdin?.end(sql);
      const { stdout, stderr } = await child;
      return stdout + stderr;
    }

    /** A connection as the role, without its seat belt. */
    async function openAsRole(database: string, user = role, userPassword = password): Promise<Client> {
      const client = new Client({
        host: postgres.host,
        port: postgres.port,
        user,
        password: userPassword,
        database,
      });
      await client.connect();
      onTestFinished(async () => client.end());
      await client.query('SET default_transaction_read_only = off');
      return client;
    }

    interface Login {
      readonly database: string;
      readonly user?: string;
      readonly password?: string;
      readonly port?: number;
      readonly serverName?: string;
      readonly sslmode?: string;
    }

    /** @returns what `doctor` says of the source */
    async function doctor(login: Login): Promise<string[]> {
      const url = new URL(`postgres://${postgres.host}:${login.port ?? postgres.port}/${login.database}`);
      url.username = login.user ?? role;
      url.password = login.password ?? password;
      if (login.sslmode !== undefined) url.searchParams.set('sslmode', login.sslmode);
      const terminal = fakeTerminal({
        MUTUAL_ROOMS_AUTH_STATIC_TOKENS: '{"t":"@a:b"}',
        MUTUAL_ROOMS_DATA_DIR: 'null',
        MUTUAL_ROOMS_LISTEN_PORT: '0',
        MUTUAL_ROOMS_SOURCE_SYNAPSE_POSTGRES: url.href,
        MUTUAL_ROOMS_SOURCE_SYNAPSE_SERVER_NAME: login.serverName ?? 'example.org',
      });
      const code = await run(['doctor'], terminal);
      const lines = terminal.written.out.trim().split('\n');
      expect(code).toBe(lines.some((line) => line.startsWith('FAIL')) ? 1 : 0);
      if (url.password !== '')
        expect(terminal.written.out + terminal.written.err).not.toContain(url.password);
      return lines.slice(lines.findIndex((line) => line.includes(' listen: ')) + 1);
    }

    /** @returns the lines that are not well */
    async function faults(login: Login): Promise<string[]> {
      return (await doctor(login)).filter((line) => !line.startsWith('ok'));
    }

    describe('grants', () => {
      test('let the feed read, however often they are run, and nobody write or read secrets', async () => {
        const database = await makeDatabase();
        const sql = grantsSql({ role, database, schema: 'public' });
        expect(await psql(database, sql)).toBe('');
        // And by a client that is not psql, all at once.
        await postgres.query(database, sql);
        const client = await openAsRole(database);
        const memberships =
          "SELECT room_id, state_key, membership = 'join' FROM current_state_events WHERE type = 'm.room.member'";
        const allowed = [
          `COPY (${memberships}) TO STDOUT`,
          `EXPLAIN (FORMAT JSON) ${memberships}`,
          'SELECT stream_ordering FROM events WHERE stream_ordering > 7 UNION ALL SELECT event_stream_ordering FROM ex_outlier_stream',
          'SELECT stream_id, room_id, type, state_key, event_id FROM current_state_delta_stream ORDER BY stream_id DESC LIMIT 1',
          "SELECT instance_name, stream_id FROM stream_positions WHERE stream_name = 'events'",
          'SELECT room_id, count(*), sum(hashtext(state_key)::bigint) FROM current_state_events GROUP BY room_id',
          'SELECT r FROM unnest(ARRAY[$$!a$$]) r WHERE NOT EXISTS (SELECT FROM rooms WHERE room_id = r)',
          'SELECT room_id FROM partial_state_rooms',
          "SELECT max(stream_id) FROM cache_invalidation_stream_by_instance WHERE cache_func = 'dr_cache_fake'",
          'SELECT update_name FROM background_updates',
          'SELECT version, compat_version FROM schema_version, schema_compat_version',
        ];
        for (const statement of allowed) await client.query(statement);
        const refused = [
          'SELECT keys FROM cache_invalidation_stream_by_instance',
          'SELECT * FROM current_state_events',
          'SELECT event_id FROM events',
          'SELECT prev_event_id FROM current_state_delta_stream',
          'SELECT token FROM access_tokens',
          'SELECT name FROM users',
          'SELECT json FROM event_json',
          'SELECT progress_json FROM background_updates',
          'CREATE TABLE mine (n int)',
          'CREATE TABLE public.mine (n int)',
          "INSERT INTO rooms VALUES ('!a')",
          "UPDATE current_state_events SET membership = 'leave'",
          'DELETE FROM current_state_events',
          'TRUNCATE events',
          'DO $$ BEGIN LOCK TABLE current_state_events IN ACCESS EXCLUSIVE MODE; END $$',
          "SELECT nextval('events_stream_seq')",
          'SELECT last_value FROM events_stream_seq',
          'CREATE TRIGGER t AFTER INSERT ON events EXECUTE FUNCTION suppress_redundant_updates_trigger()',
        ];
        for (const statement of refused) {
          await expect(client.query(statement), statement).rejects.toMatchObject({ code: '42501' });
        }
        await client.query('SET default_transaction_read_only = DEFAULT');
        await expect(client.query('CREATE TEMP TABLE mine (n int)')).rejects.toMatchObject({ code: '25006' });
      });

      test('leave the role alone that Synapse itself has, and a superuser', async () => {
        const database = await makeDatabase({ grants: false });
        await postgres.query(
          database,
          `CREATE ROLE synapse LOGIN; ALTER TABLE current_state_events OWNER TO synapse`,
        );
        for (const writer of ['synapse', postgres.superuser]) {
          const sql = grantsSql({ role: writer, database, schema: 'public' });
          await expect(psql(database, sql)).rejects.toThrow(
            /role "\w+" writes to the tables of Synapse: choose another/,
          );
        }
        const settings = await postgres.query(
          database,
          'SELECT FROM pg_db_role_setting WHERE setrole = $1::regrole',
          ['synapse'],
        );
        expect(settings).toEqual([]);
      });

      test('do nothing at all in another database, or where Synapse never was', async () => {
        const empty = await makeDatabase({ sql: '', grants: false });
        const names = { role: 'left_out', database: empty, schema: 'public' };
        await expect(psql('postgres', grantsSql(names))).rejects.toThrow(
          /this is database "postgres", not "synapse/,
        );
        await expect(psql(empty, grantsSql(names))).rejects.toThrow(
          /relation "public.current_state_events" does not/,
        );
        expect(await postgres.query(empty, "SELECT FROM pg_roles WHERE rolname = 'left_out'")).toEqual([]);
      });

      test('stand names that want quoting', async () => {
        const names = { role: `o'neil "x" $do$ \\ü`, database: `it's "$do$" \\%`, schema: 'My "Schema' };
        const quoted = (name: string): string => `"${name.replaceAll('"', '""')}"`;
        await postgres.query(
          'postgres',
          `CREATE DATABASE ${quoted(names.database)} ENCODING UTF8 TEMPLATE template0`,
        );
        const schema = quoted(names.schema);
        await postgres.query(
          names.database,
          `CREATE SCHEMA ${schema}; SET search_path = ${schema}; ${tablesSql}`,
        );
        for (let time = 0; time < 2; time += 1) expect(await psql(names.database, grantsSql(names))).toBe('');
        await postgres.query(names.database, `ALTER ROLE ${quoted(names.role)} PASSWORD '${password}'`);
        const client = await openAsRole(names.database, names.role);
        expect((await client.query('SELECT version FROM schema_version')).rows).toEqual([{ version: 94 }]);
      });
    });

    describe('doctor', () => {
      test('has nothing to say against a database as it should be', async () => {
        const database = await makeDatabase();
        const lines = await doctor({ database });
        expect(
          lines.map((line) => line.replace(/:\d{4,5}$/, ':PORT').replace(/synapse\d+/, 'synapse')),
        ).toEqual([
          'ok    postgres: logged in as mutual_rooms at database synapse on 127.0.0.1:PORT',
          expect.stringMatching(/^ok {4}postgres_version: \d\d/),
          'ok    postgres_encoding: UTF8',
          'ok    postgres_locale: C',
          'ok    postgres_timeouts: none',
          'ok    synapse_tables: all 11 that are read are there',
          'ok    synapse_grants: every column that is read may be read',
          'ok    synapse_rights: the role reads what is needed, and writes nothing',
          'ok    synapse_schema: version 94, for readers that know 84 or later (tested with 94)',
          'ok    synapse_updates: none is pending',
          'ok    synapse_writers: 2 processes write events: persist1 at 1234, persist2 at 1200',
          'ok    synapse_memberships: about 400, as PostgreSQL estimates',
          'ok    synapse_hashes: rooms can be compared by a hash of their members',
          'ok    server_name: example.org: 40 of 400 memberships of 40 rooms that were looked at are of its users',
        ]);
      });

      test('says why it does not get in', async () => {
        const database = await makeDatabase();
        const closed = await freePort();
        const logins: [login: Login, text: RegExp][] = [
          [
            { database, password: 'another' },
            /password authentication failed .*; the password is wrong, or there is no such role/,
          ],
          [{ database, password: '' }, /; a password is asked for, and none is configured$/],
          [{ database, user: 'nobody' }, /password authentication failed for user "nobody"/],
          [{ database: 'nowhere' }, /database "nowhere" does not exist; there is no database of that name$/],
          [{ database, sslmode: 'verify-full' }, /does not support SSL connections; TLS is off there/],
          [
            { database, port: closed },
            /ECONNREFUSED 127.0.0.1:\d+; nothing listens there: is PostgreSQL running/,
          ],
        ];
        for (const [login, text] of logins) {
          const lines = await doctor(login);
          expect(lines).toEqual([expect.stringMatching(text)]);
          expect(lines[0]).toMatch(/^FAIL {2}postgres: \w+ at database \w+ on 127.0.0.1:\d+: /);
        }
        await postgres.query(database, `ALTER ROLE ${role} CONNECTION LIMIT 0`);
        onTestFinished(async () => {
          await postgres.query(database, `ALTER ROLE ${role} CONNECTION LIMIT 10`);
        });
        expect(await doctor({ database })).toEqual([
          expect.stringMatching(/; no connection is left: a server takes three/),
        ]);
      });

      test('tells of timeouts that the role has, and of those that cannot be switched off', async () => {
        const database = await makeDatabase();
        await postgres.query(
          database,
          `ALTER ROLE ${role} IN DATABASE ${database} SET statement_timeout = '30s';
           ALTER ROLE ${role} IN DATABASE ${database} SET idle_session_timeout = '1500ms'`,
        );
        expect(await doctor({ database })).toContain(
          'ok    postgres_timeouts: idle_session_timeout (1.5 s), statement_timeout (30 s); the feed switches that off on ' +
            'its own connections',
        );
        // As a pooler may do that takes statements which set something for no more than what they are.
        await postgres.query(
          database,
          `CREATE FUNCTION public.set_config(text, text, boolean) RETURNS text LANGUAGE sql AS 'SELECT $2';
           ALTER ROLE ${role} IN DATABASE ${database} SET search_path = public, pg_catalog`,
        );
        expect(await faults({ database })).toEqual([
          expect.stringMatching(
            /^warn {2}postgres_timeouts: the feed cannot switch off idle_session_timeout \(1500ms\): .* not to a pooler$/,
          ),
        ]);
      });

      test('does not wait for a server that says nothing', async () => {
        const silent = createServer(() => {}).listen(0, '127.0.0.1');
        await once(silent, 'listening');
        onTestFinished(() => void silent.close());
        const { port } = silent.address() as { port: number };
        const started = performance.now();
        expect(await doctor({ database: 'synapse', port })).toEqual([
          expect.stringMatching(
            /^FAIL {2}postgres: .*: timeout expired; nothing answers at that host and port/,
          ),
        ]);
        expect(performance.now() - started).toBeLessThan(15_000);
      });

      test('goes on after a check that is stuck', async () => {
        const database = await makeDatabase();
        const locker = await postgres.connect(database);
        onTestFinished(async () => locker.end());
        await locker.query('BEGIN; LOCK TABLE background_updates IN ACCESS EXCLUSIVE MODE');
        const lines = await doctor({ database });
        expect(lines.filter((line) => !line.startsWith('ok'))).toEqual([
          'FAIL  synapse_updates: canceling statement due to statement timeout; it took too long, or waits for a lock',
        ]);
        expect(lines.at(-1)).toMatch(/^ok {4}server_name/);
      });

      test.each<[name: string, sql: string, faults: RegExp[]]>([
        [
          'a grant of one column is missing',
          `REVOKE SELECT (stream_ordering) ON events FROM ${role}`,
          [
            /^FAIL {2}synapse_grants: the role may not read events.stream_ordering; run the SQL that "mutual-rooms grants"/,
          ],
        ],
        [
          'a grant of a column that doctor itself reads is missing',
          `REVOKE SELECT (membership) ON current_state_events FROM ${role}`,
          [/^FAIL {2}synapse_grants: the role may not read current_state_events.membership; /],
        ],
        [
          'tables are missing',
          'DROP TABLE ex_outlier_stream, background_updates',
          [
            /^FAIL {2}synapse_tables: ex_outlier_stream, background_updates: not there; this Synapse is older or newer/,
          ],
        ],
        [
          'a column is missing',
          'ALTER TABLE current_state_delta_stream DROP COLUMN event_id',
          [/^FAIL {2}synapse_tables: current_state_delta_stream.event_id: not there; /],
        ],
        [
          'tables were made anew, so that the grants are gone',
          'DROP TABLE schema_version; CREATE TABLE schema_version AS SELECT 94 AS version',
          [/^FAIL {2}synapse_grants: the role may not read schema_version.version; /],
        ],
        [
          'the role may not enter the schema any more',
          `ALTER SCHEMA public RENAME TO moved; CREATE SCHEMA public`,
          [
            /^FAIL {2}synapse_tables: current_state_events, .*: not where the role looks, but in the schema "moved"; run the SQL that "mutual-rooms grants --schema moved"/,
          ],
        ],
        [
          'secrets may be read',
          `GRANT SELECT ON users TO ${role}; GRANT SELECT (token) ON access_tokens TO PUBLIC;
         GRANT SELECT (keys) ON cache_invalidation_stream_by_instance TO ${role}`,
          [
            /^warn {2}synapse_rights: the role may read cache_invalidation_stream_by_instance.keys, access_tokens, users, which/,
          ],
        ],
        [
          'the role may write',
          `GRANT INSERT ON current_state_events TO ${role}`,
          [/^warn {2}synapse_rights: the role may write to the tables of Synapse; give it a role of its own/],
        ],
        [
          'everybody may make tables',
          'GRANT CREATE ON SCHEMA public TO PUBLIC',
          [/^warn {2}synapse_rights: the role may make tables in the schema of Synapse, .* revoke CREATE/],
        ],
        [
          'an old background update goes behind the back of the feed',
          `INSERT INTO background_updates VALUES ('delete_old_current_state_events', '{}'), ('another', '{}')`,
          [
            /^warn {2}synapse_updates: delete_old_current_state_events of an old Synapse still runs, .*reconcile_interval/,
          ],
        ],
        [
          'Synapse is newer than it says old readers can stand',
          'UPDATE schema_version SET version = 99; UPDATE schema_compat_version SET compat_version = 95',
          [
            /^warn {2}synapse_schema: version 99, for readers that know 95 or later; tested with 94: .* update mutual-rooms/,
          ],
        ],
        [
          'Synapse is old',
          'UPDATE schema_version SET version = 72; UPDATE schema_compat_version SET compat_version = 70',
          [/^warn {2}synapse_schema: version 72, .* update it$/],
        ],
        [
          'the tables are not finished',
          'DELETE FROM schema_compat_version',
          [/^warn {2}synapse_schema: it has no version/],
        ],
        [
          'nothing is there yet',
          'DELETE FROM current_state_events; DELETE FROM stream_positions',
          [
            /^warn {2}synapse_writers: none has written/,
            /^warn {2}server_name: nobody is joined to any room yet/,
          ],
        ],
      ])('finds that %s', async (_name, sql, expected) => {
        const database = await makeDatabase();
        await postgres.query(database, sql);
        expect(await faults({ database })).toEqual(expected.map((text) => expect.stringMatching(text)));
      });

      test('finds that the server name is another one', async () => {
        const database = await makeDatabase();
        // The end of a name is no name.
        expect(await faults({ database, serverName: 'ample.org' })).toEqual([
          expect.stringMatching(
            /^warn {2}server_name: none of 400 .* of ample.org; correct source.synapse.server_name/,
          ),
        ]);
        expect(await faults({ database, serverName: 'elsewhere.example' })).toEqual([]);
      });

      test('knows background updates that only make it slower', async () => {
        const database = await makeDatabase();
        await postgres.query(
          database,
          `INSERT INTO background_updates VALUES ('current_state_events_members_room_index', '{}'), ('x', '{}')`,
        );
        expect(await doctor({ database })).toContain(
          'ok    synapse_updates: 2 pending (current_state_events_members_room_index, ...): Synapse works on them by ' +
            'itself; the feed reads by the indexes named here, and is slower until then',
        );
      });

      test('finds that Synapse was never there', async () => {
        const database = await makeDatabase({ sql: '', grants: false });
        expect(await faults({ database })).toEqual([
          expect.stringMatching(/^FAIL {2}synapse_tables: none of them is there; correct the database/),
        ]);
      });

      test('finds a database of another encoding or locale', async () => {
        const latin = await makeDatabase({ like: "ENCODING LATIN1 LC_COLLATE 'C' LC_CTYPE 'C'" });
        expect(await faults({ database: latin })).toEqual([
          expect.stringMatching(/^FAIL {2}postgres_encoding: LATIN1, but Synapse takes only UTF8/),
        ]);
        const [locale] = await postgres.query<{ name: string }>(
          'postgres',
          "SELECT collname AS name FROM pg_collation WHERE collprovider = 'c' AND collcollate ILIKE '%.utf%8' LIMIT 1",
        );
        const other = await makeDatabase({ like: `ENCODING UTF8 LC_COLLATE '${locale.name}' LC_CTYPE 'C'` });
        expect(await faults({ database: other })).toEqual([
          expect.stringMatching(
            /^warn {2}postgres_locale: \S+, C: the feed works, but Synapse itself wants C/,
          ),
        ]);
      });

      test('looks where the grants say the tables are', async () => {
        const database = await makeDatabase({ schema: 'matrix' });
        expect(await faults({ database })).toEqual([]);
        await postgres.query(database, `ALTER ROLE ${role} IN DATABASE ${database} RESET search_path`);
        expect(await faults({ database })).toEqual([
          expect.stringMatching(/^FAIL {2}synapse_tables: .* but in the schema "matrix"; /),
        ]);
      });

      test('warns of a superuser', async () => {
        const database = await makeDatabase();
        expect(await faults({ database, user: postgres.superuser, password: postgres.password })).toEqual([
          expect.stringMatching(
            /^warn {2}synapse_rights: the role is a superuser; give it a role of its own/,
          ),
        ]);
      });

      // The last one: the server stays a standby.
      test('tells a hot standby', async () => {
        const database = await makeDatabase();
        const [{ data_directory: folder }] = await postgres.query<{ data_directory: string }>(
          'postgres',
          'SHOW data_directory',
        );
        await postgres.stop();
        writeFileSync(join(folder, 'standby.signal'), '');
        await postgres.start();
        const lines = await doctor({ database });
        expect(lines.filter((line) => !line.startsWith('ok'))).toEqual([]);
        expect(lines).toContainEqual(
          expect.stringMatching(
            /^ok {4}postgres_standby: a hot standby: changes are seen when it has replayed them/,
          ),
        );
      });
    });
  },
);

/** In CI, what could have been installed must be there. */
function findPsql(): string {
  const psql = findProgram('psql', [findPostgresPrograms()]);
  if (psql === undefined) throw new NotInstalled('no psql: apt-get install postgresql-client');
  return psql;
}
