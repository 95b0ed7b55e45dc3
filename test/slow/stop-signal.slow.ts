/**
 * Does a stop take nobody's answer? A server in a process of its own, clients that ask and write in a loop on connections they
 * keep, and SIGTERM in the middle: each request is answered, or its connection was refused before it was sent.
 */
import { once } from 'node:events';
import { Agent, request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { exportedRooms, openFolder, openServe, until, type ServeProcess } from './serve-process.js';

const clientsOfAKind = 20;

interface Answered {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
}

/** One client with one connection, until the server is gone. */
class Client {
  readonly #agent = new Agent({ keepAlive: true, maxSockets: 1 });
  readonly #url: string;
  answers = 0;
  /** What the last answer said of its connection. */
  lastConnection: string | undefined;
  /** Why it stopped. */
  error: NodeJS.ErrnoException | undefined;

  constructor(url: string) {
    this.#url = url;
    onTestFinished(() => this.#agent.destroy());
  }

  async loop(path: string, bodyOf?: (round: number) => string): Promise<void> {
    for (let round = 0; ; round += 1) {
      try {
        const { status, headers } = await this.#ask(path, bodyOf?.(round));
        expect(status).toBe(200);
        this.answers += 1;
        this.lastConnection = headers.connection;
      } catch (error) {
        this.error = error as NodeJS.ErrnoException;
        return;
      }
    }
  }

  async #ask(path: string, body: string | undefined): Promise<Answered> {
    return new Promise((resolve, reject) => {
      const headers = { authorization: 'Bearer secret', 'content-type': 'application/x-ndjson' };
      const method = body === undefined ? 'GET' : 'POST';
      const sent = request(`${this.#url}${path}`, { agent: this.#agent, method, headers }, (response) => {
        response.resume();
        response.on('error', reject);
        response.on('end', () => resolve({ status: response.statusCode ?? 0, headers: response.headers }));
      });
      sent.on('error', reject);
      sent.end(body);
    });
  }
}

async function openServer(dataDir: string): Promise<ServeProcess> {
  return openServe(
    `listen: { host: 127.0.0.1, port: 0 }\nservice_token: secret\ndata_dir: ${dataDir}\nauth: { static_tokens: { a: "@a:x" } }\n`,
  );
}

test('clients that loop are answered to the last request, and what was acknowledged is kept', async () => {
  const dataDir = await openFolder();
  const { url, child } = await openServer(dataDir);
  const readers = Array.from({ length: clientsOfAKind }, () => new Client(url));
  const writers = Array.from({ length: clientsOfAKind }, () => new Client(url));
  const looping = Promise.all([
    ...readers.map(async (client) => client.loop('/health')),
    ...writers.map(async (client, who) =>
      client.loop(
        '/_mutual_rooms/v1/memberships',
        (round) => `{"user_id":"@writer${who}:x","room_id":"!room${round}:x","membership":"join"}\n`,
      ),
    ),
  ]);
  const all = [...readers, ...writers];
  await until(() => (all.every(({ answers }) => answers > 10) ? true : undefined));
  child.kill('SIGTERM');
  await looping;
  if (child.exitCode === null) await once(child, 'exit');
  expect(child.exitCode).toBe(0);
  expect(all.map(({ error }) => error?.code)).toEqual(all.map(() => 'ECONNREFUSED'));
  expect(all.map(({ lastConnection }) => lastConnection)).toEqual(all.map(() => 'close'));
  const rooms = await exportedRooms(dataDir);
  expect(writers.map((_, who) => rooms.get(`@writer${who}:x`))).toEqual(
    writers.map(({ answers }) => answers),
  );
});

test('a client that never ends its request is waited for ten seconds, and the stop is in order', async () => {
  const { url, child } = await openServer(await openFolder());
  const log: string[] = [];
  child.stderr?.on('data', (piece: Buffer) => log.push(piece.toString()));
  const { hostname, port } = new URL(url);
  const socket = connect(Number(port), hostname);
  onTestFinished(() => void socket.destroy());
  await once(socket, 'connect');
  socket.on('error', () => undefined);
  socket.write(
    'POST /_mutual_rooms/v1/memberships HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer secret\r\n' +
      'Content-Type: application/x-ndjson\r\nContent-Length: 1000\r\n\r\n{"user_id":',
  );
  // Until it has been taken up.
  await new Promise((resolve) => setTimeout(resolve, 300));
  child.kill('SIGTERM');
  if (child.exitCode === null) await once(child, 'exit');
  expect(child.exitCode).toBe(0);
  expect(log.join('')).not.toMatch(/plugin|"level":[56]0/i);
});
