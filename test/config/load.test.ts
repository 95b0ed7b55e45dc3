import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { ConfigError } from '../../src/config/config-error.js';
import { autoShards, loadConfig, type Config } from '../../src/config/load.js';

let folder: string;
let fileCount = 0;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-config-'));
});
afterAll(() => rmSync(folder, { recursive: true }));

const tokens = 'auth: { static_tokens: { alice-token: "@alice:example.org" } }\n';

function write(text: string, name = `${++fileCount}.yaml`): string {
  const file = join(folder, name);
  writeFileSync(file, text, { mode: 0o600 });
  return file;
}

function load(yaml: string, env: Record<string, string> = {}): Config {
  return loadConfig({ file: write(yaml), env });
}

function faultsOf(run: () => unknown): string {
  try {
    run();
  } catch (error) {
    expect(error).toBeInstanceOf(ConfigError);
    return (error as ConfigError).message.replaceAll(folder, '').replace(/\/\d+\.yaml/g, 'FILE');
  }
  throw new Error('no fault was found');
}

describe('a valid configuration', () => {
  it('has every default', () => {
    expect(load(tokens)).toEqual({
      listen: { host: '127.0.0.1', port: 8090 },
      dataDir: join(folder, 'data'),
      store: { bytesMax: 2 ** 37, recentChangesMax: 2 ** 20, compactAtWaste: 0.25 },
      shards: autoShards(),
      pageSize: 100,
      homeserver: undefined,
      auth: { staticTokens: new Map([['alice-token', '@alice:example.org']]) },
      serviceToken: undefined,
      rateLimit: { perSecond: 50, burst: 100 },
      versions: { advertiseV119: false },
      metrics: { listen: null },
      import: { bodyBytesMax: 64 * 1024 * 1024 },
      logLevel: 'info',
      logFormat: 'auto',
    });
  });

  it('says everything that can be said', () => {
    const yaml = `
listen: { host: "::", port: 0 }
data_dir: null
store: { bytes_max: 16777216, recent_changes_max: 256, compact_at_waste: null }
shards: 0
page_size: 7
homeserver: { url: "https://hs.example.org/base/", whoami_cache: { ttl_seconds: 1, entries: 2, negative_ttl_seconds: 0 } }
service_token: "change me"
rate_limit: null
versions: { advertise_v1_19: true }
metrics: { listen: { port: 9100 } }
import: { body_bytes_max: 1048576 }
log_level: debug
log_format: text
`;
    expect(load(yaml)).toEqual({
      listen: { host: '::', port: 0 },
      dataDir: null,
      store: { bytesMax: 2 ** 24, recentChangesMax: 256, compactAtWaste: null },
      shards: 0,
      pageSize: 7,
      homeserver: {
        url: 'https://hs.example.org/base',
        whoamiCache: { ttlSeconds: 1, entries: 2, negativeTtlSeconds: 0 },
      },
      auth: { staticTokens: new Map() },
      serviceToken: 'change me',
      rateLimit: null,
      versions: { advertiseV119: true },
      metrics: { listen: { host: '127.0.0.1', port: 9100 } },
      import: { bodyBytesMax: 1_048_576 },
      logLevel: 'debug',
      logFormat: 'text',
    });
  });

  it('is found by MUTUAL_ROOMS_CONFIG, and --config goes before it', () => {
    const named = write(`${tokens}page_size: 3`);
    const other = write(`${tokens}page_size: 4`);
    expect(loadConfig({ env: { MUTUAL_ROOMS_CONFIG: named } }).pageSize).toBe(3);
    expect(loadConfig({ file: other, env: { MUTUAL_ROOMS_CONFIG: named } }).pageSize).toBe(4);
  });

  it('of a client needs nobody to ask', () => {
    expect(loadConfig({ env: { MUTUAL_ROOMS_SERVICE_TOKEN: 'x' }, serves: false }).serviceToken).toBe('x');
  });

  it('gives shards one core less than there are', () => {
    expect([1, 2, 3, 4, 9, 64].map((cores) => autoShards(cores))).toEqual([0, 0, 2, 3, 8, 8]);
  });
});

describe('a fault names place, key and fix', () => {
  const cases: [name: string, yaml: string, fault: string][] = [
    [
      'unknown key',
      `${tokens}listne: 1`,
      'FILE:2: listne is an unknown key; did you mean listen? Allowed there: listen, data_dir',
    ],
    ['camelCase', `${tokens}pageSize: 1`, 'FILE:2: pageSize is an unknown key; did you mean page_size?'],
    [
      'inner key',
      `${tokens}listen: { prot: 1 }`,
      'FILE:2: listen.prot is an unknown key; did you mean listen.port? Allowed there: host, port',
    ],
    ['key of elsewhere', `${tokens}port: 1`, 'FILE:2: port is an unknown key; did you mean listen.port?'],
    [
      'nothing like it',
      `${tokens}zzzzzzzzzz: 1`,
      'FILE:2: zzzzzzzzzz is an unknown key; remove it. Allowed there: listen',
    ],
    [
      'text for a number',
      `${tokens}page_size: "80"`,
      'FILE:2: page_size must be a whole number from 1 to 1000, but is "80"',
    ],
    [
      'out of range',
      `${tokens}listen: { port: 65536 }`,
      'FILE:2: listen.port must be a whole number from 0 to 65535, but is 65536',
    ],
    [
      'shards',
      `${tokens}shards: many`,
      'FILE:2: shards must be auto, or a whole number from 0 to 64, but is "many"',
    ],
    ['an emptied map', `${tokens}listen:`, 'FILE:2: listen must be a map with host and port, but is null'],
    [
      'a list',
      `${tokens}rate_limit: [1]`,
      'FILE:2: rate_limit must be a map with per_second and burst, or null, but is a list',
    ],
    [
      'log level',
      `${tokens}log_level: loud`,
      'FILE:2: log_level must be one of trace, debug, info, warn, error, fatal, silent, but is "loud"',
    ],
    ['missing key', 'homeserver: {}', 'FILE:1: homeserver.url is missing; it must be an http or https URL'],
    ['URL', 'homeserver: { url: "127.0.0.1:8008" }', 'FILE:1: homeserver.url must be an http or https URL'],
    [
      'URL with a query',
      'homeserver: { url: "http://x/?a" }',
      'FILE:1: homeserver.url must be an http or https URL',
    ],
    [
      'user ID',
      'auth: { static_tokens: { a: alice } }',
      'FILE:1: auth.static_tokens must be a map of access token to user ID',
    ],
    [
      'body bound',
      `${tokens}import: { body_bytes_max: 1 }`,
      'FILE:2: import.body_bytes_max must be a whole number of bytes from 1048576',
    ],
    ['nobody to ask', 'page_size: 3', 'FILE: nobody could ask: give homeserver.url, or auth.static_tokens'],
    [
      'no tokens',
      'auth: { static_tokens: {} }',
      'FILE: nobody could ask: give homeserver.url, or auth.static_tokens',
    ],
    ['no map', '- 1', 'FILE: the file must be a map of keys'],
    [
      'no YAML',
      'listen: {',
      'FILE:1:10: this is not valid YAML: a } is missing above: one that was opened is not closed',
    ],
    ['no bracket', 'a: [1, 2\nb: 3\n', 'FILE:2:1: this is not valid YAML: a ] is missing above'],
    ['no quote', 'a: "x\nb: 2\n', 'FILE:3:1: this is not valid YAML: a closing " is missing above'],
    ['a tab', 'a:\n\t- b\n', 'FILE:2:1: this is not valid YAML: the line is indented with a tab; use spaces'],
    ['no colon', 'a\nb: 1\n', 'FILE:1:1: this is not valid YAML: the line is no "key: value"'],
    [
      'a bare @',
      'a: @x:y\n',
      'FILE:1:4: this is not valid YAML: a text that begins with this character needs quotes',
    ],
    [
      'a key twice',
      'page_size: 1\npage_size: 2',
      'FILE:2:1: this is not valid YAML: this key is given twice; remove one of them',
    ],
  ];
  it.each(cases)('%s', (_name, yaml, fault) => {
    const found = faultsOf(() => load(yaml));
    expect(found).toContain(fault);
    expect(found).not.toContain('\n');
  });

  it('missing file', () => {
    expect(faultsOf(() => loadConfig({ file: join(folder, 'none.yaml'), env: {} }))).toBe(
      '/none.yaml: there is no such file; name an existing one with --config or MUTUAL_ROOMS_CONFIG (the README shows one)',
    );
    expect(faultsOf(() => loadConfig({ file: folder, env: {} }))).toContain(
      'this is a folder; name an existing one',
    );
  });

  it('all of them at once', () => {
    const found = faultsOf(() => load('page_size: 0\nshards: 99\nlisten: { port: -1, hots: x }'));
    expect(found.split('\n')).toHaveLength(4);
  });

  it('never shows a secret', () => {
    const found = faultsOf(() => load('service_token: "tönung"\nauth: { static_tokens: { sesame: open } }'));
    expect(found).toContain(
      'service_token must be a text of printable ASCII, at most 4096 characters long, but is another text',
    );
    expect(found).not.toMatch(/tönung|sesame|"open"/);
  });

  it('shows which URL of the homeserver is wrong, and how, but no user and no query', () => {
    const url = (text: string): string => faultsOf(() => load(`homeserver: { url: "${text}" }`));
    expect(url('localhost:8008')).toMatch(
      /, but is "localhost:8008", where http:\/\/ or https:\/\/ is missing$/,
    );
    expect(url('127.0.0.1:8008')).toMatch(
      /, but is "127.0.0.1:8008", where http:\/\/ or https:\/\/ is missing$/,
    );
    expect(url('ftp://hs:8008')).toMatch(/, but is "ftp:\/\/hs:8008"$/);
    expect(url('http://hs?token=hush')).toMatch(/, but is "http:\/\/hs" with a query or fragment$/);
    expect(url('http://me:hush@hs')).toMatch(/, but is one with a user in it$/);
    expect(url('')).toMatch(/, but is ""$/);
  });

  it('says which of the static tokens is wrong, and shows none', () => {
    const map = (text: string): string =>
      faultsOf(() => load(`auth: { static_tokens: {\n a: "@a:x",\n ${text} } }`));
    expect(map('hush: alice')).toMatch(
      /^FILE:3: auth\.static_tokens must be .*, but is a map whose entry 2 has no user ID such as @alice:example\.org as its value$/,
    );
    expect(map('"hu sh": "@b:x"')).toMatch(
      /entry 2 has something else than printable ASCII without spaces as its/,
    );
    expect(map('"@b:x": hush')).toMatch(/entry 2 has the user ID first; the token comes first$/);
    write('{ hush: alice }', 'tokens-wrong.yaml');
    expect(faultsOf(() => load('auth: { static_tokens_file: tokens-wrong.yaml }'))).toMatch(
      /it must hold a map of access token to user ID, such as .*, but holds a map whose entry 1 has no user ID such as/,
    );
  });
});

describe('the source', () => {
  const synapse = (lines: string): string => `${tokens}source:\n  synapse:\n    server_name: x\n${lines}`;

  it('is a URL, or its parts with the password from a file', () => {
    const url = 'postgres://reader:secret@db:5433/synapse';
    expect(load(synapse(`    postgres: ${url}`)).source).toEqual({
      synapse: {
        postgres: { url },
        serverName: 'x',
        pollIntervalMs: 50,
        reconcileIntervalMs: 30 * 60_000,
        sweepIntervalMs: 60_000,
        staleAfterMs: null,
        redis: undefined,
      },
    });
    write('a b\n', 'postgres-password');
    write('c\n', 'redis-password');
    const config = load(
      synapse(
        '    postgres: { host: db, user: reader, password_file: postgres-password, tls: true }\n' +
          '    poll_interval: 1s\n    reconcile_interval: null\n    sweep_interval: 2h\n    stale_after: 1.5m\n' +
          '    redis: { port: 7, password_file: redis-password }',
      ),
    );
    expect(config.source).toEqual({
      synapse: {
        postgres: { host: 'db', user: 'reader', password: 'a b', tls: true },
        serverName: 'x',
        pollIntervalMs: 1_000,
        reconcileIntervalMs: null,
        sweepIntervalMs: 2 * 3_600_000,
        staleAfterMs: 90_000,
        redis: { host: '127.0.0.1', port: 7, password: 'c' },
      },
    });
  });

  it('comes from the environment, as a URL or as JSON', () => {
    const env = { MUTUAL_ROOMS_SOURCE_SYNAPSE_SERVER_NAME: 'x' };
    for (const [postgres, read] of [
      ['postgres://reader@db/synapse', { url: 'postgres://reader@db/synapse' }],
      ['{"host":"db","password":"p"}', { host: 'db', password: 'p' }],
    ] as const) {
      const config = load(tokens, { ...env, MUTUAL_ROOMS_SOURCE_SYNAPSE_POSTGRES: postgres });
      expect(config.source?.synapse?.postgres).toEqual(read);
    }
  });

  it.each([
    ['postgres: mysql://reader:secret@db/x', 'and tls (true or false), but is "mysql://reader:***@db/x"'],
    ['postgres: host=db password=secret', 'and tls (true or false), but is another text'],
    [
      'postgres: { hots: db }',
      'source.synapse.postgres.hots is an unknown key; did you mean source.synapse.postgres.host?',
    ],
    ['postgres: { port: db }', 'source.synapse.postgres must be a URL such as postgres:'],
    [
      'postgres: postgres://db/x\n    poll_interval: 50',
      'poll_interval must be a time from 1ms to 1m, such as 50ms',
    ],
    [
      'postgres: postgres://db/x\n    poll_interval: 2m',
      'poll_interval must be a time from 1ms to 1m, such as 50ms',
    ],
    ['postgres: postgres://db/x\n    stale_after: soon', 'stale_after must be a time from 1s to 30d'],
    ['postgres: postgres://db/x\n    reconcile_interval: 1 parsec', 'reconcile_interval must be a time'],
    ['poll_interval: 50ms', 'source.synapse.postgres is missing'],
    [
      'postgres: { password: a, password_file: b }',
      'source.synapse.postgres.password and source.synapse.postgres.password_file are both given',
    ],
  ])('refuses %s', (lines, fault) => {
    const found = faultsOf(() => load(synapse(`    ${lines}`)));
    expect(found).toContain(fault);
    expect(found).not.toContain('secret');
  });
});

describe('environment', () => {
  const env = { MUTUAL_ROOMS_AUTH_STATIC_TOKENS: '{"t":"@a:b"}' };

  it('is enough on its own', () => {
    const config = loadConfig({
      env: {
        ...env,
        MUTUAL_ROOMS_LISTEN_PORT: '9000',
        MUTUAL_ROOMS_RATE_LIMIT: 'null',
        MUTUAL_ROOMS_DATA_DIR: 'null',
        MUTUAL_ROOMS_SHARDS: '2',
        MUTUAL_ROOMS_VERSIONS_ADVERTISE_V1_19: 'true',
        MUTUAL_ROOMS_METRICS_LISTEN_PORT: '9100',
        MUTUAL_ROOMS_HOMESERVER: '{"url":"http://a"}',
        MUTUAL_ROOMS_HOMESERVER_URL: 'http://b',
        MUTUAL_ROOMS_SERVICE_TOKEN: '12345',
      },
    });
    expect(config).toMatchObject({
      listen: { host: '127.0.0.1', port: 9000 },
      rateLimit: null,
      dataDir: null,
      shards: 2,
      versions: { advertiseV119: true },
      metrics: { listen: { host: '127.0.0.1', port: 9100 } },
      homeserver: { url: 'http://b' },
      serviceToken: '12345',
    });
    expect(config.auth.staticTokens.get('t')).toBe('@a:b');
  });

  it('goes before the file, key by key', () => {
    const config = load(`${tokens}rate_limit: { per_second: 1, burst: 2 }`, {
      MUTUAL_ROOMS_RATE_LIMIT_BURST: '3',
    });
    expect(config.rateLimit).toEqual({ perSecond: 1, burst: 3 });
  });

  const cases: [variables: Record<string, string>, fault: string][] = [
    [
      { MUTUAL_ROOMS_LISTEN_PORT: 'x' },
      'MUTUAL_ROOMS_LISTEN_PORT: listen.port must be a whole number from 0 to 65535, but is "x"',
    ],
    [
      { MUTUAL_ROOMS_LISTEN_PROT: '1' },
      'MUTUAL_ROOMS_LISTEN_PROT: there is no such variable; did you mean MUTUAL_ROOMS_LISTEN_PORT?',
    ],
    [
      { MUTUAL_ROOMS_ZZZZZZZZZZZZ: '1' },
      'MUTUAL_ROOMS_ZZZZZZZZZZZZ: there is no such variable; unset it; "mutual-rooms options" lists every variable',
    ],
    [
      { MUTUAL_ROOMS_PAGE_SIZE: '' },
      'MUTUAL_ROOMS_PAGE_SIZE: page_size is given as an empty text; unset the variable, or give it a value',
    ],
    [
      { MUTUAL_ROOMS_RATE_LIMIT: '{' },
      'MUTUAL_ROOMS_RATE_LIMIT: rate_limit must be a map with per_second and burst, or null, written as JSON',
    ],
    [
      { MUTUAL_ROOMS_RATE_LIMIT: '{"brust":1}' },
      'MUTUAL_ROOMS_RATE_LIMIT: rate_limit.brust is an unknown key; did you mean rate_limit.burst? Allowed there: per_second, burst',
    ],
    [
      { MUTUAL_ROOMS_VERSIONS_ADVERTISE_V1_19: 'yes' },
      'MUTUAL_ROOMS_VERSIONS_ADVERTISE_V1_19: versions.advertise_v1_19 must be true or false, but is "yes"',
    ],
  ];
  it.each(cases)('%j', (variables, fault) => {
    expect(faultsOf(() => loadConfig({ env: { ...env, ...variables } }))).toBe(fault);
  });
});

describe('secrets in files', () => {
  it('are read beside the configuration, without the newline at their end', () => {
    write('s3cret\n', 'service-token');
    write('{"t1": "@a:b"}', 'tokens.json');
    const config = load('service_token_file: service-token\nauth: { static_tokens_file: tokens.json }');
    expect(config.serviceToken).toBe('s3cret');
    expect([...config.auth.staticTokens]).toEqual([['t1', '@a:b']]);
  });

  it('may not be given twice', () => {
    expect(faultsOf(() => load(`${tokens}service_token: a\nservice_token_file: b`))).toBe(
      'FILE:3, FILE:2: service_token and service_token_file are both given; remove one of them',
    );
    const env = { MUTUAL_ROOMS_AUTH_STATIC_TOKENS_FILE: 'x' };
    expect(faultsOf(() => load(tokens, env))).toBe(
      'MUTUAL_ROOMS_AUTH_STATIC_TOKENS_FILE, FILE:1: auth.static_tokens and auth.static_tokens_file are both given; ' +
        'remove one of them',
    );
  });

  it('name file, key and fix when they are missing, empty or something else', () => {
    write('\n', 'empty');
    write('- a', 'list.yaml');
    expect(faultsOf(() => load(`${tokens}service_token_file: nowhere`))).toBe(
      'FILE:2: service_token_file: /nowhere: there is no such file; create it, or correct service_token_file ' +
        '(relative paths start at the configuration file)',
    );
    expect(faultsOf(() => load(`${tokens}service_token_file: empty`))).toContain(
      '/empty: it is empty, and must hold the service token',
    );
    expect(faultsOf(() => load('auth: { static_tokens_file: list.yaml }'))).toContain(
      'auth.static_tokens_file: /list.yaml: it must hold a map of access token to user ID',
    );
  });

  it('are warned of where everybody may read them, and so is a configuration that holds one', () => {
    const warningsOf = (yaml: string, modes: Record<string, number> = {}): string[] => {
      const file = write(yaml);
      chmodSync(file, modes.config ?? 0o644);
      chmodSync(write('hush', 'open-token'), modes.token ?? 0o600);
      return (loadConfig({ file, env: {} }).warnings ?? []).map((text) =>
        text.replaceAll(folder, '').replace(/\/\d+\.yaml/g, 'FILE'),
      );
    };
    const asker = 'homeserver: { url: "http://hs" }\n';
    const fromFile = `${asker}service_token_file: open-token`;
    const warning = 'it holds secrets, and everybody on this machine may read it; run "chmod o-r ';
    expect(warningsOf(fromFile)).toEqual([]);
    expect(warningsOf(fromFile, { token: 0o640 })).toEqual([]);
    expect(warningsOf(fromFile, { token: 0o604 })).toEqual([`/open-token: ${warning}/open-token"`]);
    expect(warningsOf(`${asker}service_token: hush`)).toEqual([`FILE: ${warning}FILE"`]);
    expect(warningsOf(`${asker}service_token: hush`, { config: 0o600 })).toEqual([]);
    const source = (postgres: string): string =>
      `${asker}source: { synapse: { server_name: x, postgres: ${postgres} } }`;
    expect(warningsOf(source('"postgres://me@db/synapse"'))).toEqual([]);
    expect(warningsOf(source('{ host: db, user: me }'))).toEqual([]);
    expect(warningsOf(source('"postgres://me:hush@db/synapse"'))).toHaveLength(1);
    expect(warningsOf(source('{ host: db, user: me, password: hush }'))).toHaveLength(1);
  });
});
