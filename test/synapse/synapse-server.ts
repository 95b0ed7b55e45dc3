/**
 * A real Synapse for tests and benches: its main process and any number of workers, each of which can be stopped, killed and
 * started again on its own. By default the main process writes the events; with `eventWriters` named processes do (Synapse
 * calls them event persisters), which needs Redis. `clientWorkers` answer clients beside the main process. With `federates` it
 * speaks with others that do, over a link that can be cut.
 *
 * Invariant: ports, keys and database are the same over every restart. A process counts as started when it answers /health.
 * Cost: about 8 s for the first start, which makes the database's schema; 3 to 5 s for later ones; 150 MB a process.
 */
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../servers/free-port.js';
import { NetworkLink } from '../servers/network-link.js';
import type { PostgresServer } from '../servers/postgres-server.js';
import type { RedisServer } from '../servers/redis-server.js';
import { TemporaryServer } from '../servers/temporary-server.js';
import { findSynapsePython } from './installed-synapse.js';
import {
  logConfiguration,
  mainConfiguration,
  sharedConfiguration,
  workerConfiguration,
  type ProcessPorts,
} from './synapse-configuration.js';

export interface SynapseOptions {
  readonly postgres: PostgresServer;
  /** Needed as soon as there is a worker. */
  readonly redis?: RedisServer | undefined;
  readonly eventWriters?: readonly string[];
  /** How many. */
  readonly clientWorkers?: number;
  /** Speaks with other servers that do. Its name is then the address of `link`. Needs openssl. */
  readonly federates?: boolean;
  /** What Synapse logs at least; read it with `lastWords`. */
  readonly logLevel?: 'INFO' | 'WARNING';
  /** Further keys of homeserver.yaml. */
  readonly more?: Readonly<Record<string, unknown>>;
}

const host = '127.0.0.1';
const startMsMax = 90_000;
const healthMsMax = 5_000;

export class SynapseServer {
  static readonly database = 'synapse';
  /** The way of other servers to this one, when it federates. */
  link: NetworkLink | undefined;
  readonly registrationSecret = randomBytes(16).toString('hex');
  readonly #options: SynapseOptions;
  readonly #databasePassword = randomBytes(16).toString('hex');
  readonly #processes = new Map<string, TemporaryServer>();
  readonly #ports = new Map<string, ProcessPorts>();
  readonly #python: string;
  #eventWriters: readonly string[];

  private constructor(options: SynapseOptions) {
    this.#options = options;
    this.#eventWriters = options.eventWriters ?? [];
    this.#python = findSynapsePython();
  }

  /** Makes the database and starts everything. @throws NotInstalled */
  static async open(options: SynapseOptions): Promise<SynapseServer> {
    const synapse = new SynapseServer(options);
    try {
      await synapse.#makeDatabase();
      await synapse.#addProcess('main', true);
      for (const name of synapse.eventWriters) await synapse.#addProcess(name, false);
      for (let index = 1; index <= (options.clientWorkers ?? 0); index++)
        await synapse.#addProcess(`client${index}`, true);
      if (options.federates === true) await synapse.#makeLink();
      synapse.#configure();
      // It makes the schema that the workers look for.
      await synapse.start('main');
      await Promise.all(synapse.#workers().map((name) => synapse.start(name)));
      return synapse;
    } catch (error) {
      await synapse.close();
      throw error;
    }
  }

  get serverName(): string {
    return this.link === undefined ? 'test.example' : `${host}:${this.link.port}`;
  }

  /** Where the main process answers clients. */
  get url(): string {
    return `http://${host}:${this.#ports.get('main')!.client}`;
  }

  /** Where each process that answers clients does; the main one first. */
  get clientUrls(): string[] {
    const ports = [...this.#ports.values()].flatMap(({ client }) => client ?? []);
    return ports.map((port) => `http://${host}:${port}`);
  }

  /** Names; none when the main process writes events. */
  get eventWriters(): readonly string[] {
    return this.#eventWriters;
  }

  /** Which of the event writers has this room: Synapse picks it by the SHA-256 of the room ID. @param writers if they were these */
  eventWriterOf(roomId: string, writers: readonly string[] = this.#eventWriters): string {
    if (writers.length === 0) return 'main';
    const hash = createHash('sha256').update(roomId).digest().reverse().toString('hex');
    return writers[Number(BigInt(`0x${hash}`) % BigInt(writers.length))];
  }

  async start(name: string): Promise<void> {
    const app = name === 'main' ? 'homeserver' : 'generic_worker';
    const process = this.#processOf(name);
    const { client, replication } = this.#ports.get(name)!;
    const shared = join(this.#processOf('main').folder, 'shared.yaml');
    const args = ['-m', `synapse.app.${app}`, '-c', shared, '-c', join(process.folder, 'own.yaml')];
    const healthUrl = `http://${host}:${client ?? replication}/health`;
    await process.start(this.#python, args, () => healthy(healthUrl), startMsMax);
  }

  /** As an operator does; it finishes what is under way. */
  async stop(name: string): Promise<void> {
    await this.#processOf(name).end('SIGTERM');
  }

  async kill(name: string): Promise<void> {
    await this.#processOf(name).end('SIGKILL');
  }

  async stopAll(): Promise<void> {
    await Promise.all([...this.#processes.keys()].map((name) => this.stop(name)));
  }

  /** Those that do not run. */
  async startAll(): Promise<void> {
    const down = [...this.#processes].filter(([, process]) => process.pid === undefined);
    await Promise.all(down.map(([name]) => this.start(name)));
  }

  /** Every process has to know the list of writers, so all are restarted. Rooms move between writers by that. */
  async addEventWriter(name: string): Promise<void> {
    await this.#addProcess(name, false);
    this.#eventWriters = [...this.#eventWriters, name];
    await this.stopAll();
    this.#configure();
    await this.startAll();
  }

  /** The end of the log of a process. */
  lastWords(name: string): string {
    return this.#processOf(name).lastWords();
  }

  async close(): Promise<void> {
    await this.link?.close();
    await Promise.all([...this.#processes.values()].map((process) => process.stop()));
  }

  async #makeDatabase(): Promise<void> {
    const { postgres } = this.#options;
    const name = SynapseServer.database;
    await postgres.query('postgres', `CREATE ROLE synapse LOGIN PASSWORD '${this.#databasePassword}'`);
    await postgres.query(
      'postgres',
      `CREATE DATABASE ${name} OWNER synapse ENCODING UTF8 LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0`,
    );
  }

  async #addProcess(name: string, forClients: boolean): Promise<void> {
    this.#ports.set(name, {
      client: forClients ? await freePort() : undefined,
      replication: await freePort(),
    });
    this.#processes.set(name, new TemporaryServer(`synapse-${name}`, 'SIGKILL'));
  }

  async #makeLink(): Promise<void> {
    const { folder } = this.#processOf('main');
    // Nobody verifies it: these servers have no names that anybody could vouch for.
    const files = ['-keyout', join(folder, 'tls.key'), '-out', join(folder, 'tls.crt')];
    const kind = '-newkey ec -pkeyopt ec_paramgen_curve:prime256v1 -nodes -days 2 -subj /CN=test';
    await promisify(execFile)('openssl', ['req', '-x509', ...kind.split(' '), ...files]);
    const federation = await freePort();
    this.#ports.set('main', { ...this.#ports.get('main')!, federation });
    this.link = await NetworkLink.open(await freePort(), federation);
  }

  #configure(): void {
    const { postgres, redis, logLevel = 'WARNING', more = {} } = this.#options;
    const { folder } = this.#processOf('main');
    const logConfigFile = join(folder, 'log.yaml');
    const signingKeyFile = join(folder, 'signing.key');
    writeFileSync(logConfigFile, logConfiguration(logLevel));
    // The same at every call: the key is made from the secret. A version, and 32 bytes in unpadded base64.
    const key = createHash('sha256').update(this.registrationSecret).digest('base64').replace('=', '');
    writeFileSync(signingKeyFile, `ed25519 a_test ${key}\n`);
    const shared = sharedConfiguration({
      serverName: this.serverName,
      folder,
      registrationSecret: this.registrationSecret,
      signingKeyFile,
      logConfigFile,
      database: {
        host: postgres.host,
        port: postgres.port,
        user: 'synapse',
        password: this.#databasePassword,
        name: SynapseServer.database,
      },
      redis:
        redis === undefined ? undefined : { host: redis.host, port: redis.port, password: redis.password },
      eventWriters: this.#eventWriters,
      ports: this.#ports,
      more,
    });
    writeFileSync(join(folder, 'shared.yaml'), shared);
    for (const [name, ports] of this.#ports) {
      const own =
        name === 'main' ? mainConfiguration(ports) : workerConfiguration(name, ports, logConfigFile);
      writeFileSync(join(this.#processOf(name).folder, 'own.yaml'), own);
    }
  }

  #workers(): string[] {
    return [...this.#processes.keys()].filter((name) => name !== 'main');
  }

  #processOf(name: string): TemporaryServer {
    const process = this.#processes.get(name);
    if (process === undefined) throw new Error(`this Synapse has no process ${name}`);
    return process;
  }
}

async function healthy(url: string): Promise<void> {
  const answer = await fetch(url, { signal: AbortSignal.timeout(healthMsMax) });
  await answer.arrayBuffer();
  if (!answer.ok) throw new Error(`${url} answered ${answer.status}`);
}
