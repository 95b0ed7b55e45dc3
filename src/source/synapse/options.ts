/** The section `source.synapse` of the configuration: the keys, and what the feed makes of them. */
import { z } from 'zod';
import {
  dayMs,
  duration,
  host,
  hostTakes,
  key,
  msOf,
  path,
  port,
  portTakes,
  secret,
} from '../../base/config-key.js';
import type { SourceOptions } from '../source-kind.js';
import type { PostgresOptions } from './database/connection.js';
import { isPostgresUrl, postgresUrlSeen } from './database/postgres-url.js';
import type { RedisOptions } from './redis-wake.js';

export interface SynapseOptions extends SourceOptions {
  readonly postgres: PostgresOptions;
  readonly serverName: string;
  readonly pollIntervalMs: number;
  /** `null` is never. */
  readonly reconcileIntervalMs: number | null;
  readonly sweepIntervalMs: number | null;
  readonly redis?: RedisOptions | undefined;
}

const synapse = z.strictObject({
  postgres: key(
    z.union([
      z.string().refine(isPostgresUrl),
      z.strictObject({
        host: z.string().min(1).optional(),
        port: port.optional(),
        user: z.string().min(1).optional(),
        database: z.string().min(1).optional(),
        password: secret.optional(),
        password_file: path.optional(),
        tls: z.boolean().optional(),
      }),
    ]),
    {
      takes:
        'a URL such as postgres://mutual_rooms@127.0.0.1/synapse, or a map with host, port, user, database, ' +
        'password or password_file, and tls (true or false)',
      description:
        "Synapse's database, as the role that `mutual-rooms grants` makes. Straight to the server: a pooler that spreads " +
        'statements over replicas loses changes.',
      secret: true,
      seen: postgresUrlSeen,
    },
  ),
  server_name: key(z.string().min(1).max(255), {
    takes: 'the `server_name` of the homeserver, such as example.org',
    description: 'Name of the homeserver: its channel in Redis has this name.',
  }),
  poll_interval: key(duration(1, 60_000).default('50ms'), {
    takes: 'a time from 1ms to 1m, such as 50ms',
    description: 'How often PostgreSQL is asked what is new. Where nothing is new, that is an index look-up.',
  }),
  reconcile_interval: key(
    duration(1000, 30 * dayMs)
      .nullable()
      .default('30m'),
    {
      takes: 'a time from 1s to 30d, such as 30m, or null',
      description: 'How often every room is compared with the database, by a count and a hash; null never.',
    },
  ),
  sweep_interval: key(duration(1000, dayMs).nullable().default('1m'), {
    takes: 'a time from 1s to 1d, such as 1m, or null',
    description: 'How often rooms are looked for that were purged, which no change tells; null never.',
  }),
  stale_after: key(
    duration(1000, 30 * dayMs)
      .nullable()
      .default(null),
    {
      takes: 'a time from 1s to 30d, such as 5m, or null',
      description:
        '`/ready` turns 503 when the database was not read up to its end for so long; questions are answered all the ' +
        'same. null never.',
    },
  ),
  redis: key(
    z
      .strictObject({
        host: key(host, { takes: hostTakes, description: "Host of the homeserver's Redis." }),
        port: key(port.default(6379), { takes: portTakes, description: 'Its port.' }),
        user: key(z.string().min(1).optional(), {
          takes: 'a text',
          description: 'User to log in as, where that is not the default one.',
        }),
        password: key(secret.optional(), {
          takes: 'a text, at most 4096 characters long',
          description: 'Password for it.',
          secret: true,
        }),
        password_file: key(path.optional(), {
          takes: 'a path',
          description: 'File that holds `password`, instead of it; newlines at its end are trimmed.',
        }),
      })
      .optional(),
    {
      takes: 'a map with host, port, user, password or password_file',
      description:
        "Redis, by which Synapse's workers tell each other of changes: it wakes the feed before the next poll. Optional: what it " +
        'says is always checked in the database.',
    },
  ),
});

export const synapseSection = key(synapse.optional(), {
  takes: 'a map with postgres, server_name and what else the table names',
  description: "Memberships are read from Synapse's PostgreSQL, and followed there.",
});

export const synapseSecrets = [
  ['postgres', 'password'],
  ['redis', 'password'],
];

export function synapseOptions(written: z.output<typeof synapse>): SynapseOptions {
  const { postgres, redis } = written;
  return {
    postgres: typeof postgres === 'string' ? { url: postgres } : partsOf(postgres),
    serverName: written.server_name,
    pollIntervalMs: msOf(written.poll_interval),
    reconcileIntervalMs: msOf(written.reconcile_interval),
    sweepIntervalMs: msOf(written.sweep_interval),
    staleAfterMs: msOf(written.stale_after),
    redis: redis && { host: redis.host, port: redis.port, user: redis.user, password: redis.password },
  };
}

function partsOf({
  host: name,
  port: number,
  user,
  database,
  password,
  tls,
}: Exclude<z.output<typeof synapse>['postgres'], string>): PostgresOptions {
  return { host: name, port: number, user, database, password, tls };
}
