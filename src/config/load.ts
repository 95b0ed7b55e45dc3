/**
 * Reads the configuration: the file, the environment laid over it, the files that hold secrets, the checks.
 *
 * Use `loadConfig` in a command; build a `Config` by hand to embed the server or to test it. All faults are found in
 * one go and thrown as one `ConfigError`. Relative paths are relative to the configuration file.
 */
import { availableParallelism } from 'node:os';
import { dirname, resolve } from 'node:path';
import type { z } from 'zod';
import { isObject as isMap } from '../base/json-object.js';
import { ConfigError } from './config-error.js';
import { isReadableByAll, readText, readYaml, type YamlFile } from './config-file.js';
import { didYouMean } from './did-you-mean.js';
import { type ConfiguredSources, sourceOptions, sourceSecrets } from '../source/sources.js';
import { type Env, overlayEnvironment, setIn, variablesIn } from './environment.js';
import { childrenAt, configFileVariable, keyAt, keys } from './keys.js';
import {
  type ConfigFile,
  type logFormats,
  type logLevels,
  schema,
  staticTokensSchema,
  staticTokensSeen,
  staticTokensTakes,
} from './schema.js';

export interface Address {
  readonly host: string;
  /** 0 is any free one. */
  readonly port: number;
}

export interface HomeserverConfig {
  /** Without a slash at its end. */
  readonly url: string;
  readonly whoamiCache: {
    readonly ttlSeconds: number;
    readonly entries: number;
    readonly negativeTtlSeconds: number;
  };
}

/** The configuration as the rest of the server reads it: checked, complete, paths absolute, secrets read. */
export interface Config {
  readonly listen: Address;
  /** `null` is memory only. */
  readonly dataDir: string | null;
  readonly store: {
    readonly bytesMax: number;
    readonly recentChangesMax: number;
    /** `null` is never. */
    readonly compactAtWaste: number | null;
  };
  /** Absent: memberships come through the service API, or stay as they are. */
  readonly source?: ConfiguredSources | undefined;
  /** 0 is inline; `auto` is already a number. */
  readonly shards: number;
  readonly pageSize: number;
  readonly homeserver?: HomeserverConfig | undefined;
  readonly auth: {
    /** Access token to user ID. */
    readonly staticTokens: ReadonlyMap<string, string>;
  };
  /** Absent: the service API is off. */
  readonly serviceToken?: string | undefined;
  /** `null` is off. */
  readonly rateLimit: { readonly perSecond: number; readonly burst: number } | null;
  readonly versions: { readonly advertiseV119: boolean };
  /** `null`: `/metrics` is served beside everything else. */
  readonly metrics: { readonly listen: Address | null };
  readonly import: { readonly bodyBytesMax: number };
  readonly logLevel: (typeof logLevels)[number];
  /** What is no fault, but ought to be mended. */
  readonly warnings?: readonly string[];
  /** Absent: `auto`. */
  readonly logFormat?: (typeof logFormats)[number];
}

export interface LoadOptions {
  /** Default: what `MUTUAL_ROOMS_CONFIG` names. Without either, the environment is the whole configuration. */
  readonly file?: string | undefined;
  readonly env: Env;
  /** `false` for a command that only talks to a running server, and so needs nobody to ask. Default: true. */
  readonly serves?: boolean;
}

/** Whether there is any configuration: a file, or a variable that is one, also a mistyped one. */
export function isConfigured({ file, env }: Pick<LoadOptions, 'file' | 'env'>): boolean {
  return file !== undefined || variablesIn(env).length > 0;
}

/** @throws ConfigError */
export function loadConfig({ file, env, serves = true }: LoadOptions): Config {
  const configFile = file ?? env[configFileVariable];
  const yaml =
    configFile === undefined
      ? undefined
      : readYaml(
          configFile,
          'name an existing one with --config or MUTUAL_ROOMS_CONFIG (the README shows one)',
        );
  if (yaml?.value !== null && yaml?.value !== undefined && !isMap(yaml.value)) {
    throw new ConfigError([
      `${configFile}: the file must be a map of keys, such as "listen: { port: 8090 }"`,
    ]);
  }

  const overlaid = overlayEnvironment(yaml?.value, env);
  const placeOf = (path: readonly PropertyKey[]): string => placeIn(path, overlaid.variables, yaml);
  const parsed = schema.safeParse(overlaid.value);
  if (!parsed.success || overlaid.faults.length > 0) {
    const issues = parsed.error?.issues ?? [];
    const faults = issues.flatMap((issue) => faultsOf(issue, overlaid.value, placeOf));
    throw new ConfigError([...new Set([...overlaid.faults, ...faults])]);
  }

  const folder = configFile === undefined ? process.cwd() : dirname(resolve(configFile));
  const faults: string[] = [];
  const secrets = readSecrets(parsed.data, folder, placeOf, faults);
  if (
    serves &&
    parsed.data.homeserver === undefined &&
    secrets.staticTokens.size === 0 &&
    faults.length === 0
  ) {
    faults.push(
      isConfigured({ file, env })
        ? `${configFile ?? 'environment'}: nobody could ask: give homeserver.url, or auth.static_tokens with at least one token`
        : 'no configuration is given: name a file with --config or MUTUAL_ROOMS_CONFIG, or set at least MUTUAL_ROOMS_HOMESERVER_URL ' +
            '("mutual-rooms demo" needs none, "mutual-rooms options" lists what there is)',
    );
  }
  if (faults.length > 0) throw new ConfigError(faults);
  const open = secrets.files.filter(isReadableByAll);
  if (configFile !== undefined && holdsSecret(yaml?.value) && isReadableByAll(configFile))
    open.unshift(configFile);
  const warnings = open.map(
    (each) => `${each}: it holds secrets, and everybody on this machine may read it; run "chmod o-r ${each}"`,
  );
  return { ...configOf(parsed.data, folder, secrets), ...(warnings.length > 0 && { warnings }) };
}

/** Whether a secret stands in the file itself. */
function holdsSecret(fromFile: unknown): boolean {
  const secrets = [
    ['service_token'],
    ['auth', 'static_tokens'],
    ...sourceSecrets.map((path) => ['source', ...path]),
  ];
  return (
    secrets.some((path) => (valueIn(fromFile, path) ?? null) !== null) ||
    hasPasswordInUrl(valueIn(fromFile, ['source']))
  );
}

/** Whether it is, or holds, a URL with a password. */
function hasPasswordInUrl(value: unknown): boolean {
  if (typeof value === 'string') return /:\/\/[^/@:]*:[^/@]+@|[?&]password=/i.test(value);
  return isMap(value) && Object.values(value).some(hasPasswordInUrl);
}

/**
 * A configuration of a program's own: what the values leave out has the defaults of the schema.
 * @param values as in a file, without files that hold secrets
 */
export function configOfValues(values: z.input<typeof schema>): Config {
  const data = schema.parse(values);
  return configOf(data, process.cwd(), {
    staticTokens: new Map(Object.entries(data.auth.static_tokens ?? {})),
    serviceToken: data.service_token,
    source: data.source,
    files: [],
  });
}

/**
 * How many shards `auto` is on a machine with so many cores. On two of them a thread that holds the index and one that asks it
 * get in each other's way, and in that of the database: without one, 1.4 times the requests are answered.
 */
export function autoShards(cores: number = availableParallelism()): number {
  return cores <= 2 ? 0 : Math.min(8, cores - 1);
}

interface Secrets {
  readonly staticTokens: ReadonlyMap<string, string>;
  readonly serviceToken: string | undefined;
  /** What `source` says, with what it has in files. */
  readonly source: ConfigFile['source'];
  /** The files that some of them came from. */
  readonly files: readonly string[];
}

type PlaceOf = (path: readonly PropertyKey[]) => string;

/** A variable's name, a line of the file, or whatever else says where a value came from. */
function placeIn(
  path: readonly PropertyKey[],
  variables: ReadonlyMap<string, string>,
  yaml: YamlFile | undefined,
): string {
  for (let length = path.length; length > 0; length--) {
    const variable = variables.get(path.slice(0, length).map(String).join('.'));
    if (variable !== undefined) return variable;
  }
  return yaml?.placeOf(path) ?? 'environment';
}

function faultsOf(issue: z.core.$ZodIssue, root: unknown, placeOf: PlaceOf): string[] {
  if (issue.code === 'unrecognized_keys') {
    return issue.keys.map((unknown) => {
      const place = placeOf([...issue.path, unknown]);
      return `${place}: ${unknownKeyFault(issue.path.map(String), unknown)}`;
    });
  }
  const key = keyAt(issue.path);
  // Only the top of the file has no key, and that it is a map was seen before.
  if (key === undefined) return [`${placeOf([])}: ${issue.message}`];
  const value = valueIn(root, key.path);
  if (value === undefined) return [`${placeOf(key.path)}: ${key.name} is missing; it must be ${key.takes}`];
  const seen =
    key.seen?.(value, issue.path.slice(key.path.length)) ??
    (key.secret === true || typeof value === 'object' ? shapeOf(value) : JSON.stringify(value));
  return [`${placeOf(issue.path)}: ${key.name} must be ${key.takes}, but is ${seen}`];
}

function valueIn(root: unknown, path: readonly string[]): unknown {
  return path.reduce<unknown>((inner, name) => (isMap(inner) ? inner[name] : undefined), root);
}

function unknownKeyFault(above: readonly string[], unknown: string): string {
  const allowed = childrenAt(above);
  const prefix = above.map((name) => `${name}.`).join('');
  // `port: 8090` at the top of the file means `listen.port`.
  const elsewhere = keys.find(({ path }) => path.at(-1) === unknown);
  const near = didYouMean(unknown, allowed);
  const meant = elsewhere?.name ?? (near === undefined ? undefined : prefix + near);
  const hint = meant === undefined ? 'remove it.' : `did you mean ${meant}?`;
  return `${prefix}${unknown} is an unknown key; ${hint} Allowed there: ${allowed.join(', ')}`;
}

/** What kind of value it is, for values that must not show. */
function shapeOf(value: unknown): string {
  if (value === null) return 'null';
  if (Array.isArray(value)) return 'a list';
  if (typeof value === 'object') return 'a map with something else in it';
  if (value === '') return 'an empty text';
  return typeof value === 'string' ? 'another text' : `a ${typeof value}`;
}

function readSecrets(data: ConfigFile, folder: string, placeOf: PlaceOf, faults: string[]): Secrets {
  const files: string[] = [];
  const fixOf = (name: string): string =>
    `create it, or correct ${name} (relative paths start at the configuration file)`;

  /** Runs `read` unless the plain form is given too. */
  const fromFile = <Value>(
    plain: readonly string[],
    given: boolean,
    path: string | undefined,
    read: (file: string, name: string) => Value,
  ): Value | undefined => {
    if (path === undefined) return undefined;
    const name = `${plain.join('.')}_file`;
    const filePath = [...plain.slice(0, -1), `${plain[plain.length - 1]}_file`];
    if (given) {
      const places = `${placeOf(filePath)}, ${placeOf(plain)}`;
      faults.push(`${places}: ${plain.join('.')} and ${name} are both given; remove one of them`);
      return undefined;
    }
    const file = resolve(folder, path);
    try {
      const value = read(file, name);
      files.push(file);
      return value;
    } catch (error) {
      if (!(error instanceof ConfigError)) throw error;
      faults.push(...error.faults.map((fault) => `${placeOf(filePath)}: ${name}: ${fault}`));
      return undefined;
    }
  };

  /** A line of text. @param what it is, for the fault of an empty file */
  const readLine = (file: string, name: string, what: string): string => {
    const line = readText(file, fixOf(name)).replace(/[\r\n]+$/, '');
    if (line === '') throw new ConfigError([`${file}: it is empty, and must hold the ${what}`]);
    return line;
  };

  const serviceToken = fromFile(
    ['service_token'],
    data.service_token !== undefined,
    data.service_token_file,
    (file, name) => {
      const token = readLine(file, name, 'service token');
      if (!schema.shape.service_token.safeParse(token).success) {
        throw new ConfigError([`${file}: it must hold ${keyAt(['service_token'])?.takes}`]);
      }
      return token;
    },
  );

  const { static_tokens: tokens, static_tokens_file: tokensFile } = data.auth;
  const tokensFromFile = fromFile(
    ['auth', 'static_tokens'],
    tokens !== undefined,
    tokensFile,
    (file, name) => {
      const { value } = readYaml(file, fixOf(name));
      const parsed = staticTokensSchema.safeParse(value);
      if (parsed.success) return parsed.data;
      const seen = value === null ? 'an empty file' : staticTokensSeen(value, parsed.error.issues[0].path);
      throw new ConfigError([
        `${file}: it must hold ${staticTokensTakes}${seen === undefined ? '' : `, but holds ${seen}`}`,
      ]);
    },
  );

  const source: ConfigFile['source'] = structuredClone(data.source);
  for (const path of sourceSecrets) {
    const last = path[path.length - 1];
    const file = valueIn(source, [...path.slice(0, -1), `${last}_file`]);
    if (typeof file !== 'string') continue;
    const isGiven = valueIn(source, path) !== undefined;
    const text = fromFile(['source', ...path], isGiven, file, (name, key) =>
      readLine(name, key, last.replaceAll('_', ' ')),
    );
    if (text !== undefined) setIn(source, path, text);
  }

  return {
    serviceToken: data.service_token ?? serviceToken,
    source,
    staticTokens: new Map(Object.entries(tokens ?? tokensFromFile ?? {})),
    files,
  };
}

function configOf(data: ConfigFile, folder: string, secrets: Secrets): Config {
  const { staticTokens, serviceToken } = secrets;
  const { homeserver, rate_limit: rateLimit } = data;
  return {
    listen: data.listen,
    dataDir: data.data_dir === null ? null : resolve(folder, data.data_dir),
    store: {
      bytesMax: data.store.bytes_max,
      recentChangesMax: data.store.recent_changes_max,
      compactAtWaste: data.store.compact_at_waste,
    },
    source: sourceOptions(secrets.source),
    shards: data.shards === 'auto' ? autoShards() : data.shards,
    pageSize: data.page_size,
    homeserver: homeserver && {
      url: homeserver.url.replace(/\/+$/, ''),
      whoamiCache: {
        ttlSeconds: homeserver.whoami_cache.ttl_seconds,
        entries: homeserver.whoami_cache.entries,
        negativeTtlSeconds: homeserver.whoami_cache.negative_ttl_seconds,
      },
    },
    auth: { staticTokens },
    serviceToken,
    rateLimit: rateLimit && { perSecond: rateLimit.per_second, burst: rateLimit.burst },
    versions: { advertiseV119: data.versions.advertise_v1_19 },
    metrics: { listen: data.metrics.listen },
    import: { bodyBytesMax: data.import.body_bytes_max },
    logLevel: data.log_level,
    logFormat: data.log_format,
  };
}
