/**
 * The program as an operator runs it, `serve` fed by a Synapse's database, for benches that have the tables of a Synapse and no
 * Synapse: who asks is known by fixed tokens. What it takes of the machine is read from /proc, so only on Linux.
 *
 * Cost: a second for a start, and what the copy of the memberships takes.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { freePort } from '../../test/servers/free-port.js';
import type { PostgresServer } from '../../test/servers/postgres-server.js';
import type { RedisServer } from '../../test/servers/redis-server.js';
import { TemporaryServer } from '../../test/servers/temporary-server.js';

const cli = new URL('../../dist/cli.js', import.meta.url).pathname;
const startMsMax = 60 * 60_000;

/** Clock ticks of /proc in a second, on every Linux that Node runs on. */
const ticksPerSecond = 100;

export interface ServedFeedOptions {
  readonly postgres: PostgresServer;
  readonly database: string;
  /** Whether the index is kept on disk. Default: yes. */
  readonly isKept?: boolean;
  readonly redis?: RedisServer | undefined;
  /** Token to user. */
  readonly tokens: Readonly<Record<string, string>>;
}

/** What the log says of a copy of all memberships. */
export interface Copied {
  readonly rows: number;
  readonly joined: number;
  readonly left: number;
  readonly seconds: number;
}

export interface ProcessUse {
  /** Of all its threads, so far. */
  readonly cpuSeconds: number;
  /** What was resident at most. */
  readonly peakBytes: number;
  readonly residentBytes: number;
}

export const serverName = 'bench.example';

export class ServedFeed {
  readonly url: string;
  readonly #server: TemporaryServer;

  private constructor(server: TemporaryServer, port: number) {
    this.#server = server;
    this.url = `http://127.0.0.1:${port}`;
  }

  /** Writes its configuration; it does not start yet. */
  static async make({
    postgres,
    database,
    isKept = true,
    redis,
    tokens,
  }: ServedFeedOptions): Promise<ServedFeed> {
    const port = await freePort();
    const server = new TemporaryServer('served-feed', 'SIGKILL');
    const { host, superuser: user, password } = postgres;
    const config = {
      listen: { host: '127.0.0.1', port },
      data_dir: isKept ? join(server.folder, 'data') : null,
      rate_limit: null,
      auth: { static_tokens: tokens },
      source: {
        synapse: {
          postgres: { host, port: postgres.port, user, password, database },
          server_name: serverName,
          ...(redis && { redis: { host: redis.host, port: redis.port, password: redis.password } }),
        },
      },
    };
    writeFileSync(join(server.folder, 'config.yaml'), JSON.stringify(config), { mode: 0o600 });
    return new ServedFeed(server, port);
  }

  /** @returns seconds from the start of the process until it is ready */
  async start(): Promise<number> {
    const began = performance.now();
    await this.#server.start(
      process.execPath,
      [cli, 'serve', '--config', join(this.#server.folder, 'config.yaml')],
      async () => {
        const answer = await fetch(`${this.url}/ready`, { signal: AbortSignal.timeout(5_000) });
        await answer.arrayBuffer();
        if (answer.status !== 200) throw new Error(`/ready answered ${answer.status}`);
      },
      startMsMax,
    );
    return (performance.now() - began) / 1000;
  }

  /** As an operator does. */
  async stop(): Promise<void> {
    await this.#server.end('SIGTERM');
  }

  async close(): Promise<void> {
    await this.#server.stop();
  }

  /** Of all its starts. */
  copies(): Copied[] {
    return readFileSync(join(this.#server.folder, 'log'), 'utf8')
      .split('\n')
      .filter((line) => line.includes('all memberships were copied'))
      .map((line) => JSON.parse(line) as Copied);
  }

  /** Of the process that runs. */
  use(): ProcessUse {
    const status = readFileSync(`/proc/${this.#server.pid}/status`, 'utf8');
    const bytesOf = (name: string): number =>
      Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024;
    // What comes before may hold spaces: the name of the program.
    const fields = readFileSync(`/proc/${this.#server.pid}/stat`, 'utf8').split(') ')[1].split(' ');
    return {
      cpuSeconds: (Number(fields[11]) + Number(fields[12])) / ticksPerSecond,
      peakBytes: bytesOf('VmHWM'),
      residentBytes: bytesOf('VmRSS'),
    };
  }
}
