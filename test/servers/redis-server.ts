/**
 * A Redis for tests of what listens to one: on a TCP port of the loopback address, with a password. It keeps nothing; a restart
 * is on the same port. Cost: 10 ms and 10 MB of memory.
 */
import { createClient } from '@redis/client';
import { randomBytes } from 'node:crypto';
import { findProgram, NotInstalled } from './find-program.js';
import { freePort } from './free-port.js';
import { TemporaryServer } from './temporary-server.js';

export class RedisServer {
  readonly host = '127.0.0.1';
  readonly port: number;
  readonly password: string;
  readonly #server: TemporaryServer;
  readonly #program: string;

  private constructor(server: TemporaryServer, program: string, port: number, password: string) {
    this.#server = server;
    this.#program = program;
    this.port = port;
    this.password = password;
  }

  /** @throws NotInstalled */
  static async open(): Promise<RedisServer> {
    const program = findProgram('redis-server');
    if (program === undefined) throw new NotInstalled('no redis-server: apt-get install redis-server');
    const port = await freePort();
    const redis = new RedisServer(
      new TemporaryServer('redis', 'SIGKILL'),
      program,
      port,
      randomBytes(16).toString('hex'),
    );
    try {
      await redis.start();
      return redis;
    } catch (error) {
      await redis.close();
      throw error;
    }
  }

  async start(): Promise<void> {
    await this.#server.start(
      this.#program,
      [
        ['--bind', this.host],
        ['--port', String(this.port)],
        ['--requirepass', this.password],
        ['--save', ''],
        ['--appendonly', 'no'],
        ['--dir', this.#server.folder],
      ].flat(),
      async () => this.#ping(),
    );
  }

  /** Its connections break; what is published meanwhile is lost. */
  async stop(): Promise<void> {
    await this.#server.end();
  }

  async close(): Promise<void> {
    await this.#server.stop();
  }

  async #ping(): Promise<void> {
    const { host, port, password } = this;
    const client = createClient({ socket: { host, port, tls: false, reconnectStrategy: false }, password });
    client.on('error', () => {});
    await client.connect();
    await client.ping();
    client.destroy();
  }
}
