/**
 * nginx or Caddy with a configuration that is given to operators, in a process of its own: for tests of that very file.
 *
 * Invariant: addresses in the file are replaced, and nothing else; what else the program needs to run without a system around
 * it stands in a file that includes the one under test. Each address must be there, or `open` throws.
 * Cost: 50 ms for a start.
 */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { findProgram, NotInstalled } from './find-program.js';
import { freePort } from './free-port.js';
import { TemporaryServer } from './temporary-server.js';

export type ProxyProgram = 'nginx' | 'caddy';

const healthMsMax = 2_000;

export class ReverseProxy {
  readonly url: string;
  readonly #server: TemporaryServer;

  private constructor(server: TemporaryServer, url: string) {
    this.#server = server;
    this.url = url;
  }

  /**
   * @param listenAddress the one in the file where it listens, such as `127.0.0.1:8080`
   * @param addresses further ones, each with what it is replaced by
   * @throws NotInstalled
   */
  static async open(
    name: ProxyProgram,
    configFile: string,
    listenAddress: string,
    addresses: ReadonlyMap<string, string>,
  ): Promise<ReverseProxy> {
    const program = findProgram(name, ['/usr/sbin']);
    if (program === undefined) throw new NotInstalled(`no ${name}: apt-get install ${name}`);
    const address = `127.0.0.1:${await freePort()}`;
    // A SIGKILL would leave the worker processes of nginx behind.
    const server = new TemporaryServer(name, 'SIGTERM');
    try {
      let text = readFileSync(configFile, 'utf8');
      for (const [from, to] of [[listenAddress, address], ...addresses]) {
        if (!text.includes(from)) throw new Error(`${configFile} has no address ${from}`);
        text = text.replaceAll(from, to);
      }
      const included = join(server.folder, 'included');
      writeFileSync(included, text);
      const config = join(server.folder, 'config');
      writeFileSync(config, around[name](included, server.folder));
      const args = name === 'nginx' ? ['-c', config] : ['run', '--config', config, '--adapter', 'caddyfile'];
      const url = `http://${address}`;
      await server.start(program, args, async () => {
        const answer = await fetch(url, { signal: AbortSignal.timeout(healthMsMax) });
        await answer.arrayBuffer();
      });
      return new ReverseProxy(server, url);
    } catch (error) {
      await server.stop();
      throw error;
    }
  }

  lastWords(): string {
    return this.#server.lastWords();
  }

  async close(): Promise<void> {
    await this.#server.stop();
  }
}

const around = {
  nginx: (included: string, folder: string): string => `
    daemon off;
    ${process.getuid?.() === 0 ? 'user root;' : ''}
    worker_processes 1;
    pid ${folder}/pid;
    error_log stderr;
    events {}
    http {
      access_log off;
      client_body_temp_path ${folder}/client_body;
      proxy_temp_path ${folder}/proxy;
      fastcgi_temp_path ${folder}/fastcgi;
      uwsgi_temp_path ${folder}/uwsgi;
      scgi_temp_path ${folder}/scgi;
      include ${included};
    }
  `,
  caddy: (included: string, folder: string): string =>
    `{\n\tadmin off\n\tauto_https off\n\tstorage file_system ${folder}/storage\n}\nimport ${included}\n`,
} satisfies Record<ProxyProgram, (included: string, folder: string) => string>;
