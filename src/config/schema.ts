/**
 * The configuration file, key by key: this schema checks it, is its manual, and makes src/config/README.md.
 *
 * Invariant: every key carries a description and says what it takes (`takes`), because faults are worded with it.
 * Keys are snake_case as written in YAML; load.ts turns the result into `Config`.
 */
import { z } from 'zod';
import { host, hostTakes, key, path, port, portTakes, secret } from '../base/config-key.js';
import { nameBytesMax } from '../base/limits.js';
import { sourceNames, sourceSections } from '../source/sources.js';

export const logFormats = ['auto', 'json', 'text'] as const;

export const logLevels = ['trace', 'debug', 'info', 'warn', 'error', 'fatal', 'silent'] as const;

const count = z.int().min(1);

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
      'Folder of its own for the store. It is made when it is not there. null keeps everything in memory only: a restart ' +
      'forgets it.',
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
              'Changes that are collected before they are folded into the stored room sets. Each takes up to 32 bytes of memory, and a ' +
              'million make a start a second longer. Fewer make the disk write more.',
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
      .strictObject(sourceSections)
      .refine((sections) => Object.values(sections).filter((each) => each !== undefined).length <= 1)
      .prefault({}),
    {
      takes: `a map with ${sourceNames.join(' or ')}`,
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
        'The homeserver: it is asked whose an access token is, and its `/versions` is passed on. Needed unless ' +
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
      description: 'Access tokens that are accepted beside those of the homeserver.',
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
      'How much is logged, to stderr: this level and those above it. From `debug` on, errors of the command line show their stack.',
  }),
  log_format: key(z.enum(logFormats).default('auto'), {
    takes: `one of ${logFormats.join(', ')}`,
    description:
      'Form of the log: a JSON object a line, or text for people. `auto` is text on a terminal, else JSON.',
  }),
});

/** What the schema makes of a file: the keys as written, each with its default. */
export type ConfigFile = z.output<typeof schema>;
