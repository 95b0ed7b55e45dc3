/**
 * The configuration files of a Synapse for tests: one that all its processes share, and a small one for each process. No
 * rate limits, cheap passwords, and no other servers but those of the same test. JSON is YAML, so JSON is what is written.
 *
 * Used by synapse-server.ts alone; what a test may choose is `SynapseOptions` there.
 */

export interface ProcessPorts {
  /** Where clients are answered; undefined for one that only writes events. */
  readonly client: number | undefined;
  /** Where the other processes reach it. */
  readonly replication: number;
  /** Where other servers do, over TLS; undefined for one that does not federate. */
  readonly federation?: number;
}

export interface SharedSettings {
  readonly serverName: string;
  readonly folder: string;
  readonly registrationSecret: string;
  readonly signingKeyFile: string;
  readonly logConfigFile: string;
  readonly database: {
    readonly host: string;
    readonly port: number;
    readonly user: string;
    readonly password: string;
    readonly name: string;
  };
  readonly redis: { readonly host: string; readonly port: number; readonly password: string } | undefined;
  /** Names of the processes that write events; none: the main process does. */
  readonly eventWriters: readonly string[];
  /** By name of the process; the main one is `main`. */
  readonly ports: ReadonlyMap<string, ProcessPorts>;
  readonly more: Readonly<Record<string, unknown>>;
}

const host = '127.0.0.1';
const unlimited = { per_second: 9999, burst_count: 9999 };

export function sharedConfiguration(settings: SharedSettings): string {
  const { database, redis, eventWriters, ports, folder } = settings;
  const instances = ['main', ...eventWriters].map((name) => [
    name,
    { host, port: ports.get(name)?.replication },
  ]);
  return JSON.stringify({
    server_name: settings.serverName,
    report_stats: false,
    signing_key_path: settings.signingKeyFile,
    media_store_path: `${folder}/media`,
    log_config: settings.logConfigFile,
    macaroon_secret_key: settings.registrationSecret,
    form_secret: settings.registrationSecret,
    registration_shared_secret: settings.registrationSecret,
    trusted_key_servers: [],
    ...(ports.get('main')?.federation === undefined
      ? { federation_domain_whitelist: [] }
      : federationSettings(folder)),
    presence: { enabled: false },
    bcrypt_rounds: 4,
    database: {
      name: 'psycopg2',
      args: {
        user: database.user,
        password: database.password,
        dbname: database.name,
        host: database.host,
        port: database.port,
        cp_min: 2,
        cp_max: 10,
      },
    },
    ...(redis === undefined ? undefined : { redis: { enabled: true, ...redis } }),
    instance_map: Object.fromEntries(instances),
    ...(eventWriters.length === 0 ? undefined : { stream_writers: { events: eventWriters } }),
    worker_replication_secret: '',
    rc_message: unlimited,
    rc_registration: unlimited,
    rc_login: { address: unlimited, account: unlimited, failed_attempts: unlimited },
    rc_joins: { local: unlimited, remote: unlimited },
    rc_joins_per_room: unlimited,
    rc_invites: { per_room: unlimited, per_user: unlimited, per_issuer: unlimited },
    rc_room_creation: unlimited,
    rc_profile: unlimited,
    rc_admin_redaction: unlimited,
    ...settings.more,
  });
}

export function mainConfiguration(ports: ProcessPorts): string {
  return JSON.stringify({ listeners: listeners(ports) });
}

export function workerConfiguration(name: string, ports: ProcessPorts, logConfigFile: string): string {
  return JSON.stringify({
    worker_app: 'synapse.app.generic_worker',
    worker_name: name,
    worker_log_config: logConfigFile,
    worker_listeners: listeners(ports),
  });
}

/** To standard error. */
export function logConfiguration(level: string): string {
  return JSON.stringify({
    version: 1,
    formatters: { line: { format: '%(asctime)s %(levelname)s %(name)s %(message)s' } },
    handlers: { console: { class: 'logging.StreamHandler', formatter: 'line' } },
    root: { level, handlers: ['console'] },
    disable_existing_loggers: false,
  });
}

/** With other servers of the loopback address, which are asked again at once after an outage. */
function federationSettings(folder: string): object {
  return {
    tls_certificate_path: `${folder}/tls.crt`,
    tls_private_key_path: `${folder}/tls.key`,
    federation_verify_certificates: false,
    ip_range_blacklist: [],
    // Milliseconds.
    federation: {
      client_timeout: 5_000,
      max_short_retry_delay: 100,
      max_long_retry_delay: 1_000,
      destination_min_retry_interval: 200,
      destination_max_retry_interval: 500,
    },
    rc_federation: {
      window_size: 1000,
      sleep_limit: 9999,
      sleep_delay: 0,
      reject_limit: 9999,
      concurrent: 50,
    },
  };
}

function listeners({ client, replication, federation }: ProcessPorts): unknown[] {
  const listener = (port: number, name: string, tls = false): unknown => ({
    port,
    type: 'http',
    tls,
    bind_addresses: [host],
    resources: [{ names: [name], compress: false }],
  });
  return [
    listener(replication, 'replication'),
    ...(client === undefined ? [] : [listener(client, 'client')]),
    ...(federation === undefined ? [] : [listener(federation, 'federation', true)]),
  ];
}
