/**
 * The configuration file, key by key: this schema checks it, is its manual, and makes src/config/README.md.
 *
 * Invariant: every key carries a description and says what it takes (`takes`), because faults are worded with it.
 * Keys are snake_case as written in YAML; load.ts turns the result into `Config`.
 */
import ms, { type StringValue } from 'ms';
import { z } from 'zod';
import { nameBytesMax } from '../base/limits.js';

export const logFormats = ['auto', 'json', 'text'] as const;

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

/** What a key says about itself, beside its checks. */
export interface KeyText {
  /** Completes the sentence "KEY must be ...". */
  readonly takes: string;
  readonly description: string;
  /** Values of such keys never show in a fault. */
  readonly secret?: boolean;
  /**
   * What a wrong value is, more exactly than its kind, and without what is secret in it; undefined where there is no more to say.
   * @param inner where in the value the fault lies
   */
  readonly seen?: (value: unknown, inner: readonly PropertyKey[]) => string | undefined;
}

function key<Schema extends z.ZodType>(schema: Schema, text: KeyText): Schema {
  return schema.meta({ ...text });
}

const host = z.string().min(1).max(255).default('127.0.0.1');
const port = z.int().min(0).max(65_535);
const count = z.int().min(1);
const secret = z.string().min(1).max(4096);
const path = z.string().min(1);

const hostTakes = 'a host name or IP address, such as 127.0.0.1 or "::"';
const portTakes = 'a whole number from 0 to 65535';
const secondsTakes = 'a number of seconds from 1 to 86400';

const secondsMax = 86_400;

const tokenPattern = /^[\x21-\x7e]+$/;

/** A token may be any text that fits in a header line; a user ID is checked only as far as telling the two apart. */
export const staticTokensSchema = z.record(
  secret.regex(tokenPattern),
  z
    .string()
    .regex(/^@[^:]*:./s)
    .max(nameBytesMax),
);

export const staticTokensTakes =
  'a map of access token to user ID, such as { "alice-token": "@alice:example.org" }';

/** Names the entry by its place: token and user ID may have changed places, so neither shows. */
export function staticTokensSeen(value: unknown, inner: readonly PropertyKey[]): string | undefined {
  const token = inner.at(0);
  if (typeof value !== 'object' || value === null || token === undefined) return undefined;
  const entry = `a map whose entry ${Object.keys(value).indexOf(String(token)) + 1}`;
  if (String(token).startsWith('@')) return `${entry} has the user ID first; the token comes first`;
  return secret.regex(tokenPattern).safeParse(token).success
    ? `${entry} has no user ID such as @alice:example.org as its value`
    : `${entry} has something else than printable ASCII without spaces as its token`;
}

/** One that is refused for its user may hold a password, and its query anything. */
function homeserverUrlSeen(value: unknown): string | undefined {
  if (typeof value !== 'string' || value === '') return undefined;
  if (value.includes('@')) return 'one with a user in it';
  const [bare, ...more] = value.split(/[?#]/);
  const shown = JSON.stringify(bare);
  if (!/^[a-z][a-z0-9+.-]*:\/\//i.test(bare)) return `${shown}, where http:// or https:// is missing`;
  return more.length > 0 ? `${shown} with a query or fragment` : shown;
}

function isHomeserverUrl(text: string): boolean {
  if (!URL.canParse(text)) return false;
  const url = new URL(text);
  const bare = url.search === '' && url.hash === '' && url.username === '' && url.password === '';
  return bare && (url.protocol === 'http:' || url.protocol === 'https:');
}

/** A length of time as people write it, in milliseconds. */
function duration(leastMs: number, mostMs: number): z.ZodString {
  return z.string().refine((text) => {
    const length = durationMs(text);
    return length !== undefined && length >= leastMs && length <= mostMs;
  });
}

/** @returns undefined for what is none, and for a number that does not say of what */
export function durationMs(text: string): number | undefined {
  return /^[\d.]+ *[a-z]+$/i.test(text) ? ms(text as StringValue) : undefined;
}

function isPostgresUrl(text: string): boolean {
  return /^postgres(ql)?:\/\//.test(text) && URL.canParse(text);
}

const dayMs = 24 * 60 * 60 * 1000;

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
    },
  ),
  server_name: key(z.string().min(1).max(255), {
    takes: 'the `server_name` of the homeserver, such as example.org',
    description: 'What the homeserver is called: its channel in Redis has this name.',
  }),
  poll_interval: key(duration(1, 60_000).default('50ms'), {
    takes: 'a time from 1ms to 1m, such as 50ms',
    description: 'How often PostgreSQL is asked what is new: an index look-up where nothing is.',
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
          description: 'Who logs in there, where that is not the default user.',
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
        "Where Synapse's workers tell each other of changes: it wakes the feed before the next poll. Optional, and never " +
        'believed.',
    },
  ),
});

export const schema = z.strictObject({
  listen: key(
    z
      .strictObject({
        host: key(host, {
          takes: hostTakes,
          description: 'Address to listen on; a name is its first address. `0.0.0.0` or `::` is every one.',
        }),
        port: key(port.default(8090), {
          takes: portTakes,
          description: 'Port to listen on; 0 is any free one.',
        }),
      })
      .prefault({}),
    {
      takes: 'a map with host and port',
      description: 'Where clients, or the reverse proxy, reach the server.',
    },
  ),
  data_dir: key(path.nullable().default('./data'), {
    takes: 'a path, or null',
    description:
      'Folder of its own for the store: memberships, and what page tokens hang on. It is made when it is not there. ' +
      'null is memory only: a restart forgets.',
  }),
  store: key(
    z
      .strictObject({
        bytes_max: key(
          z
            .int()
            .min(2 ** 24)
            .max(2 ** 46)
            .default(2 ** 37),
          {
            takes: 'a whole number of bytes from 16777216 (16 MiB) to 2^46',
            description:
              'A store of this size takes no further changes (507); questions are answered all the same.',
          },
        ),
        recent_changes_max: key(
          z
            .int()
            .min(256)
            .max(2 ** 24)
            .default(2 ** 20),
          {
            takes: 'a whole number from 256 to 2^24',
            description:
              'Changes that are collected before they are folded into the stored room sets: up to 32 bytes of memory each, ' +
              'and a second of a start a million. Fewer of them make the disk write more.',
          },
        ),
        compact_at_waste: key(z.number().gt(0).max(1).nullable().default(0.25), {
          takes: 'a number above 0, at most 1, or null',
          description:
            'At start the store is compacted when this share of its names is joined to nothing any more (and at ' +
            'least 10,000 of them); null never.',
        }),
      })
      .prefault({}),
    {
      takes: 'a map with bytes_max, recent_changes_max and compact_at_waste',
      description: 'What is in `data_dir`.',
    },
  ),
  source: key(
    z
      .strictObject({
        synapse: key(synapse.optional(), {
          takes: 'a map with postgres, server_name and what else is listed below',
          description: "Memberships are read from Synapse's PostgreSQL, and followed there.",
        }),
      })
      .prefault({}),
    {
      takes: 'a map with synapse',
      description: 'Where memberships come from. With a source, `/_mutual_rooms/v1/memberships` takes none.',
    },
  ),
  shards: key(z.union([z.literal('auto'), z.int().min(0).max(64)]).default('auto'), {
    takes: 'auto, or a whole number from 0 to 64',
    description:
      'Worker threads that hold the index. 0 keeps it in the thread of the server; `auto` is 0 on up to two cores, ' +
      'else one less than the cores, at most 8.',
  }),
  page_size: key(z.int().min(1).max(1000).default(100), {
    takes: 'a whole number from 1 to 1000',
    description: 'Most rooms in one page of an answer.',
  }),
  homeserver: key(
    z
      .strictObject({
        url: key(z.string().refine(isHomeserverUrl), {
          takes: 'an http or https URL without user, query and fragment, such as http://127.0.0.1:8008',
          seen: homeserverUrlSeen,
          description: 'Base URL of the homeserver, as this server reaches it.',
        }),
        whoami_cache: key(
          z
            .strictObject({
              ttl_seconds: key(z.number().min(1).max(secondsMax).default(120), {
                takes: secondsTakes,
                description: 'How long an accepted token is believed before the homeserver is asked again.',
              }),
              entries: key(count.max(10_000_000).default(200_000), {
                takes: 'a whole number from 1 to 10000000',
                description: 'Most tokens remembered; the longest unused one goes first.',
              }),
              negative_ttl_seconds: key(z.number().min(0).max(secondsMax).default(10), {
                takes: 'a number of seconds from 0 to 86400',
                description: 'How long a refused token stays refused without asking again; 0 always asks.',
              }),
            })
            .prefault({}),
          {
            takes: 'a map with ttl_seconds, entries and negative_ttl_seconds',
            description: 'What is remembered of the answers to `whoami`.',
          },
        ),
      })
      .optional(),
    {
      takes: 'a map with url, and perhaps whoami_cache',
      description:
        'The homeserver that knows whose access token it is, and whose `/versions` is passed on. Needed unless ' +
        '`auth.static_tokens` is given.',
    },
  ),
  auth: key(
    z
      .strictObject({
        static_tokens: key(staticTokensSchema.optional(), {
          takes: staticTokensTakes,
          description:
            'Access tokens accepted without asking a homeserver: a map of token to user ID, for demos and tests.',
          secret: true,
          seen: staticTokensSeen,
        }),
        static_tokens_file: key(path.optional(), {
          takes: 'a path',
          description: 'YAML or JSON file that holds the map of `auth.static_tokens`, instead of it.',
        }),
      })
      .prefault({}),
    {
      takes: 'a map with static_tokens or static_tokens_file',
      description: 'Who may ask, beside the homeserver.',
    },
  ),
  service_token: key(secret.regex(/^[\x20-\x7e]+$/).optional(), {
    takes: 'a text of printable ASCII, at most 4096 characters long',
    description:
      'Bearer token for `/_mutual_rooms/`, where memberships come in. Without one, that API is off.',
    secret: true,
  }),
  service_token_file: key(path.optional(), {
    takes: 'a path',
    description: 'File that holds `service_token`, instead of it; newlines at its end are trimmed.',
  }),
  rate_limit: key(
    z
      .strictObject({
        per_second: key(z.number().gt(0).max(1_000_000).default(50), {
          takes: 'a number above 0, at most 1000000',
          description: 'Requests a second that one user may make for as long as they like.',
        }),
        burst: key(count.max(1_000_000).default(100), {
          takes: 'a whole number from 1 to 1000000',
          description: 'Requests that one user may make at once after a rest.',
        }),
      })
      .nullable()
      .prefault({}),
    {
      takes: 'a map with per_second and burst, or null',
      description: 'Bound on the requests of one user; null is off.',
    },
  ),
  versions: key(
    z
      .strictObject({
        advertise_v1_19: key(z.boolean().default(false), {
          takes: 'true or false',
          description:
            'Add `v1.19` to the answer of `/_matrix/client/versions`, for clients that look for nothing else.',
        }),
      })
      .prefault({}),
    { takes: 'a map with advertise_v1_19', description: 'What is added to the answer of the homeserver.' },
  ),
  metrics: key(
    z
      .strictObject({
        listen: key(
          z
            .strictObject({
              host: key(host, { takes: hostTakes, description: 'Address that serves `/metrics`.' }),
              port: key(port, {
                takes: portTakes,
                description: 'Port that serves `/metrics`; 0 is any free one.',
              }),
            })
            .nullable()
            .default(null),
          {
            takes: 'a map with host and port, or null',
            description: 'A listener of its own for `/metrics`; null serves it beside everything else.',
          },
        ),
      })
      .prefault({}),
    { takes: 'a map with listen', description: 'Numbers for Prometheus.' },
  ),
  import: key(
    z
      .strictObject({
        body_bytes_max: key(
          z
            .int()
            .min(2 ** 20)
            .max(2 ** 40)
            .default(64 * 2 ** 20),
          {
            takes: 'a whole number of bytes from 1048576 (1 MiB, what `import` sends at once) to 2^40',
            description:
              'Longest body that `POST /_mutual_rooms/v1/memberships` takes; a longer one gets 413.',
          },
        ),
      })
      .prefault({}),
    { takes: 'a map with body_bytes_max', description: 'How memberships come in.' },
  ),
  log_level: key(z.enum(logLevels).default('info'), {
    takes: `one of ${logLevels.join(', ')}`,
    description:
      'Least weight of what is logged, to stderr. Errors of the command line show their stack from `debug` on.',
  }),
  log_format: key(z.enum(logFormats).default('auto'), {
    takes: `one of ${logFormats.join(', ')}`,
    description:
      'Form of the log: a JSON object a line, or text for people. `auto` is text on a terminal, else JSON.',
  }),
});

/** What the schema makes of a file: the keys as written, each with its default. */
export type ConfigFile = z.output<typeof schema>;
