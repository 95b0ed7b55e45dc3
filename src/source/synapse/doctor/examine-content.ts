/**
 * Checks what is in a Synapse database: the version of the tables, what Synapse still converts, who writes, how many memberships, and
 * whether it is the homeserver that the configuration names.
 */
import { type Finding, ok, warn } from '../../../base/finding.js';
import type { Check, Subject } from './check.js';
import type { Connection } from '../database/connection.js';
import { canCompareHashes } from '../database/hash-check.js';
import { estimatedMemberships } from '../database/membership-estimate.js';

/** Of the tables, as Synapse counts them: what the feed was tested with, and what Synapse says is close enough to that. */
const schemaTested = { version: 94, compatVersion: 84 };

/** Background updates that change memberships although no stream tells of it. */
const silentUpdates = ['delete_old_current_state_events', 'current_state_events_membership'];

/** Sample for the server name: every room of a homeserver has a member of it, and most rooms are small. */
const roomsSampled = 100;
const membersSampled = 300;

export const contentChecks: readonly Check[] = [
  { name: 'synapse_schema', tables: ['schema_version', 'schema_compat_version'], look: examineSchema },
  { name: 'synapse_updates', tables: ['background_updates'], look: examineUpdates },
  { name: 'synapse_writers', tables: ['stream_positions'], look: examineWriters },
  { name: 'synapse_memberships', tables: ['current_state_events'], look: examineMemberships },
  { name: 'synapse_hashes', look: examineHashes },
  { name: 'server_name', tables: ['current_state_events'], look: examineServerName },
];

async function examineSchema(connection: Connection): Promise<Finding[]> {
  const name = 'synapse_schema';
  const [row] = await connection.query<{ version: number | null; compat_version: number | null }>(
    'SELECT (SELECT max(version) FROM schema_version) AS version, ' +
      '(SELECT max(compat_version) FROM schema_compat_version) AS compat_version',
  );
  const { version, compat_version: compatVersion } = row;
  if (version === null || compatVersion === null)
    return [warn(name, 'it has no version: Synapse has not finished making its tables; start it again')];
  const tested = `tested with ${schemaTested.version}`;
  const text = `version ${version}, for readers that know ${compatVersion} or later`;
  if (compatVersion > schemaTested.version) {
    return [
      warn(
        name,
        `${text}; ${tested}: Synapse has changed what older readers count on, so update mutual-rooms`,
      ),
    ];
  }
  if (version < schemaTested.compatVersion)
    return [warn(name, `${text}; ${tested}: that is an old Synapse, update it`)];
  return [ok(name, `${text} (${tested})`)];
}

async function examineUpdates(connection: Connection): Promise<Finding[]> {
  const name = 'synapse_updates';
  const rows = await connection.query<{ update_name: string }>(
    'SELECT update_name FROM background_updates ORDER BY update_name',
  );
  const pending = rows.map((row) => row.update_name);
  const silent = pending.filter((update) => silentUpdates.includes(update));
  if (silent.length > 0) {
    return [
      warn(
        name,
        `${silent.join(', ')} of an old Synapse still runs, and changes memberships without saying so: only the ` +
          'comparison of all rooms finds that; shorten source.synapse.reconcile_interval until it is done',
      ),
    ];
  }
  if (pending.length === 0) return [ok(name, 'none is pending')];
  // A new Synapse has some fifty.
  const slowing = pending.filter((update) => /^current_state_.*(index|idx)$/.test(update));
  const named = slowing.length > 0 ? slowing : pending.slice(0, 5);
  const names = named.join(', ') + (named.length < pending.length ? ', ...' : '');
  const slower =
    slowing.length > 0 ? '; the feed reads by the indexes named here, and is slower until then' : '';
  return [ok(name, `${pending.length} pending (${names}): Synapse works on them by itself${slower}`)];
}

async function examineWriters(connection: Connection): Promise<Finding[]> {
  const name = 'synapse_writers';
  const rows = await connection.query<{ writer: string; position: string }>(
    'SELECT instance_name AS writer, stream_id::text AS position FROM stream_positions ' +
      "WHERE stream_name = 'events' ORDER BY instance_name",
  );
  if (rows.length === 0)
    return [warn(name, 'none has written an event yet; there is nothing to do when Synapse is new')];
  const writers = rows.map(({ writer, position }) => `${writer} at ${position}`).join(', ');
  return [
    ok(name, `${rows.length} ${rows.length === 1 ? 'process writes' : 'processes write'} events: ${writers}`),
  ];
}

async function examineMemberships(connection: Connection): Promise<Finding[]> {
  const rows = await estimatedMemberships(connection);
  return [ok('synapse_memberships', `about ${rows.toLocaleString('en')}, as PostgreSQL estimates`)];
}

// From room to room by the index, and a few members of each: a large database takes no longer than a small one.
const sampleSql = `
  WITH RECURSIVE rooms_seen (room_id, seen) AS (
    (SELECT room_id, 1 FROM current_state_events ORDER BY room_id LIMIT 1)
    UNION ALL
    SELECT (SELECT c.room_id FROM current_state_events c WHERE c.room_id > r.room_id ORDER BY c.room_id LIMIT 1), seen + 1
    FROM rooms_seen r WHERE r.room_id IS NOT NULL AND seen < ${roomsSampled}
  )
  SELECT count(*)::int AS members, count(DISTINCT rooms_seen.room_id)::int AS rooms,
    (count(*) FILTER (WHERE right(m.state_key, length($1)) = $1))::int AS own
  FROM rooms_seen CROSS JOIN LATERAL (
    SELECT state_key FROM current_state_events c
    WHERE c.room_id = rooms_seen.room_id AND type = 'm.room.member' AND membership = 'join' LIMIT ${membersSampled}
  ) AS m`;

async function examineHashes(connection: Connection): Promise<Finding[]> {
  const name = 'synapse_hashes';
  const [{ encoding }] = await connection.query<{ encoding: string }>(
    'SELECT getdatabaseencoding() AS encoding',
  );
  // Another one was found before.
  if (encoding !== 'UTF8') return [];
  return (await canCompareHashes(connection))
    ? [ok(name, 'rooms can be compared by a hash of their members')]
    : [
        warn(
          name,
          'this PostgreSQL hashes texts in another way: rooms are compared by how many are joined alone',
        ),
      ];
}

async function examineServerName(connection: Connection, { serverName }: Subject): Promise<Finding[]> {
  const name = 'server_name';
  const [{ members, rooms, own }] = await connection.query<{ members: number; rooms: number; own: number }>(
    sampleSql,
    [`:${serverName}`],
  );
  if (members === 0)
    return [warn(name, `nobody is joined to any room yet, so ${serverName} may be wrong or right`)];
  const seen = `${members} memberships of ${rooms} rooms that were looked at`;
  if (own > 0) return [ok(name, `${serverName}: ${own} of ${seen} are of its users`)];
  return [
    warn(
      name,
      `none of ${seen} is of a user of ${serverName}; correct source.synapse.server_name, or the database`,
    ),
  ];
}
