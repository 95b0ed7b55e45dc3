/**
 * The program under test as an operator runs it: `serve`, fed by a Synapse's database, with a role that has no more rights than
 * `mutual-rooms grants` prints. It can be killed and started again on the same folder and port.
 *
 * Invariant: `start` returns when /ready says that it follows the database, so what was committed before is in its answers.
 * Cost: a second for each start.
 */
import { execFile } from 'node:child_process';
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { freePort } from '../servers/free-port.js';
import { findPostgresPrograms } from '../servers/postgres-programs.js';
import { TemporaryServer } from '../servers/temporary-server.js';
import { SynapseServer } from './synapse-server.js';
import type { TestHomeserver } from './test-homeserver.js';

const cli = new URL('../../dist/cli.js', import.meta.url).pathname;
const startMsMax = 60_000;
const callMsMax = 10_000;
const bytesMax = 2 ** 28;

const role = 'mutual_rooms';

export interface SidecarOptions {
  /** Woken by Redis too; without, the database is asked at intervals only. */
  readonly redis?: boolean;
  readonly pollInterval?: string;
  /** Worker threads; as many as the machine has room for, unless a test says else. */
  readonly shards?: number;
  readonly reconcileInterval?: string | null;
  /** Purged rooms are found by that alone: every second, unless a test says else. */
  readonly sweepInterval?: string;
}

/** What /ready says of the source. */
export interface SourceState {
  readonly kind: string;
  readonly state: 'connecting' | 'copying' | 'catching_up' | 'following' | 'disconnected';
  readonly position: number;
  readonly gaps_open: number;
  readonly rows_read: number;
  readonly last_error: string | null;
}

export class Sidecar {
  readonly url: string;
  readonly configFile: string;
  readonly #server: TemporaryServer;

  private constructor(server: TemporaryServer, port: number) {
    this.#server = server;
    this.url = `http://127.0.0.1:${port}`;
    this.configFile = join(server.folder, 'config.yaml');
  }

  /** Makes the role when it is not there yet, and starts. */
  static async open(homeserver: TestHomeserver, options: SidecarOptions = {}): Promise<Sidecar> {
    const port = await freePort();
    const sidecar = new Sidecar(new TemporaryServer('sidecar', 'SIGKILL'), port);
    try {
      sidecar.#configure(homeserver, port, options);
      await sidecar.#makeRole(homeserver);
      await sidecar.start();
      return sidecar;
    } catch (error) {
      await sidecar.close();
      throw error;
    }
  }

  async start(): Promise<void> {
    await this.#server.start(
      process.execPath,
      [cli, 'serve', '--config', this.configFile],
      async () => {
        const { state } = await this.sourceState();
        if (state !== 'following') throw new Error(`the source is ${state}`);
      },
      startMsMax,
    );
  }

  async kill(): Promise<void> {
    await this.#server.end('SIGKILL');
  }

  /** As an operator does. */
  async stop(): Promise<void> {
    await this.#server.end('SIGTERM');
  }

  async close(): Promise<void> {
    await this.#server.stop();
  }

  /** @throws when it does not answer, or has no index yet */
  async sourceState(): Promise<SourceState> {
    const answer = await fetch(`${this.url}/ready`, { signal: AbortSignal.timeout(callMsMax) });
    const { source } = (await answer.json()) as { source?: SourceState };
    if (source === undefined) throw new Error(`/ready answered ${answer.status}, and nothing of a source`);
    return source;
  }

  /** All it holds, as `room_id user_id`. */
  async memberships(): Promise<string[]> {
    const lines = await this.#command('export', '-', '--config', this.configFile);
    return lines
      .split('\n')
      .filter((line) => line.startsWith('{'))
      .map((line) => {
        const { room_id: roomId, user_id: userId } = JSON.parse(line) as { room_id: string; user_id: string };
        return `${roomId} ${userId}`;
      });
  }

  /** @returns what `doctor` says; throws when it finds a fault */
  async doctor(): Promise<string> {
    return this.#command('doctor', '--config', this.configFile);
  }

  lastWords(): string {
    return this.#server.lastWords();
  }

  #configure(homeserver: TestHomeserver, port: number, options: SidecarOptions): void {
    const { postgres, redis, synapse } = homeserver;
    const { folder } = this.#server;
    writeFileSync(join(folder, 'postgres-password'), homeserver.readerPassword, { mode: 0o600 });
    writeFileSync(join(folder, 'redis-password'), redis.password, { mode: 0o600 });
    const config = {
      listen: { host: '127.0.0.1', port },
      data_dir: join(folder, 'data'),
      log_level: 'info',
      rate_limit: null,
      shards: options.shards ?? 'auto',
      homeserver: { url: synapse.url },
      source: {
        synapse: {
          postgres: {
            host: postgres.host,
            port: postgres.port,
            user: role,
            password_file: join(folder, 'postgres-password'),
            database: SynapseServer.database,
          },
          server_name: synapse.serverName,
          poll_interval: options.pollInterval ?? '50ms',
          reconcile_interval: options.reconcileInterval ?? null,
          sweep_interval: options.sweepInterval ?? '1s',
          ...(options.redis === true
            ? {
                redis: { host: redis.host, port: redis.port, password_file: join(folder, 'redis-password') },
              }
            : undefined),
        },
      },
    };
    writeFileSync(this.configFile, JSON.stringify(config));
  }

  async #makeRole({ postgres, readerPassword }: TestHomeserver): Promise<void> {
    const known = await postgres.query('postgres', 'SELECT 1 FROM pg_roles WHERE rolname = $1', [role]);
    if (known.length > 0) return;
    const folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-grants-'));
    try {
      const file = join(folder, 'grants.sql');
      writeFileSync(file, await this.#command('grants', '--config', this.configFile));
      await promisify(execFile)(
        join(findPostgresPrograms(), 'psql'),
        [
          ...['--host', postgres.host, '--port', String(postgres.port), '--username', postgres.superuser],
          ...['--dbname', SynapseServer.database, '--no-psqlrc', '--set', 'ON_ERROR_STOP=1', '--file', file],
        ],
        { env: { ...process.env, PGPASSWORD: postgres.password }, timeout: callMsMax },
      );
    } finally {
      rmSync(folder, { recursive: true });
    }
    await postgres.query('postgres', `ALTER ROLE ${role} PASSWORD '${readerPassword}'`);
  }

  async #command(...args: string[]): Promise<string> {
    const { stdout } = await promisify(execFile)(process.execPath, [cli, ...args], {
      maxBuffer: bytesMax,
      timeout: startMsMax,
    });
    return stdout;
  }
}
