import { expect, it } from 'vitest';
import { grantedTables, grantsSql } from '../../src/source/synapse/database/grants.js';

const names = { role: 'mutual_rooms', database: 'synapse', schema: 'public' };

it('is this SQL', () => {
  expect(grantsSql(names)).toMatchInlineSnapshot(`
    "-- A role that may read what mutual-rooms needs to follow Synapse, and nothing else. Running it again does no harm.
    -- Run it in Synapse's database as a superuser, such as with: psql -v ON_ERROR_STOP=1 -d "synapse"
    BEGIN;

    -- the role, unless it is there; one that writes to Synapse's tables is left alone, since Synapse may need it to
    DO $do$
    BEGIN
      IF current_database() <> 'synapse' THEN
        RAISE EXCEPTION 'this is database "%", not "%"', current_database(), 'synapse';
      ELSIF NOT EXISTS (SELECT FROM pg_roles WHERE rolname = 'mutual_rooms') THEN
        CREATE ROLE "mutual_rooms";
      ELSIF has_table_privilege('mutual_rooms', '"public".current_state_events', 'INSERT, UPDATE, DELETE') THEN
        RAISE EXCEPTION 'role "%" writes to the tables of Synapse: choose another one', 'mutual_rooms';
      END IF;
    END
    $do$;
    -- few connections: they are Synapse's, too
    ALTER ROLE "mutual_rooms" LOGIN NOINHERIT CONNECTION LIMIT 10;
    -- a seat belt: the grants below are what keeps it from writing
    ALTER ROLE "mutual_rooms" SET default_transaction_read_only = on;
    -- where its queries find the tables
    ALTER ROLE "mutual_rooms" IN DATABASE "synapse" SET search_path = "public";
    -- the way to the tables
    GRANT CONNECT ON DATABASE "synapse" TO "mutual_rooms";
    GRANT USAGE ON SCHEMA "public" TO "mutual_rooms";

    -- who is joined to which room
    GRANT SELECT (room_id, type, state_key, membership) ON "public".current_state_events TO "mutual_rooms";
    -- what has changed, and whether a change that was read is still there after a restore
    GRANT SELECT (stream_id, room_id, type, state_key, event_id) ON "public".current_state_delta_stream TO "mutual_rooms";
    -- which numbers of the stream are taken: nothing of an event itself
    GRANT SELECT (stream_ordering) ON "public".events TO "mutual_rooms";
    -- the other numbers of the same stream
    GRANT SELECT (event_stream_ordering) ON "public".ex_outlier_stream TO "mutual_rooms";
    -- how far each process of Synapse has written
    GRANT SELECT (stream_name, instance_name, stream_id) ON "public".stream_positions TO "mutual_rooms";
    -- that some room was purged; never the keys, which hold access tokens
    GRANT SELECT (stream_id, cache_func) ON "public".cache_invalidation_stream_by_instance TO "mutual_rooms";
    -- which rooms are there still
    GRANT SELECT (room_id) ON "public".rooms TO "mutual_rooms";
    -- of which rooms Synapse does not know all members yet
    GRANT SELECT (room_id) ON "public".partial_state_rooms TO "mutual_rooms";
    -- what Synapse still converts, index by index
    GRANT SELECT (update_name) ON "public".background_updates TO "mutual_rooms";
    -- which tables and columns there are
    GRANT SELECT (version) ON "public".schema_version TO "mutual_rooms";
    -- how old a reader may be
    GRANT SELECT (compat_version) ON "public".schema_compat_version TO "mutual_rooms";

    COMMIT;

    -- It has no password yet. In psql, this asks for one and sends it encrypted: \\password "mutual_rooms"
    -- Where pg_hba.conf does not let it in: host "synapse" "mutual_rooms" 127.0.0.1/32 scram-sha-256
    "
  `);
});

it('grants nothing that is secret', () => {
  expect(grantedTables.flatMap(({ columns }) => columns)).not.toContain('keys');
  const sql = grantsSql(names);
  expect(sql.match(/^GRANT (?!SELECT \(|CONNECT|USAGE).*/gm)).toBeNull();
  expect(sql).not.toMatch(/PASSWORD|access_tokens|users|event_json|profiles|devices|SEQUENCE|TRIGGER/);
});

it('quotes names as identifiers and as texts', () => {
  const sql = grantsSql({ role: `o'neil "x" \\`, database: 'a$do$b', schema: 'Matrix' });
  expect(sql).toContain(`CREATE ROLE "o'neil ""x"" \\";`);
  expect(sql).toContain(`rolname = E'o''neil "x" \\\\')`);
  expect(sql).toContain('ON "Matrix".events TO ');
  // The body of the block does not end at what is in the name.
  expect(sql).toMatch(/^DO (\$_do\$)\n[^]*\$do\$[^]*\n\1;$/m);
});

it.each(['', 'a\nDROP TABLE users;', 'nul\0', 'a'.repeat(64), 'ü'.repeat(32)])('takes no name %j', (role) => {
  expect(() => grantsSql({ ...names, role })).toThrow(/cannot be the role: a name has 1 to 63 bytes/);
});
