/**
 * Does every answer keep what holds for all of them? A server on a port of its own, and requests over real sockets that
 * check CORS, Content-Type and the shape of errors each time.
 */
import { Agent, request, type IncomingHttpHeaders } from 'node:http';
import { connect } from 'node:net';
import pino from 'pino';
import { expect, onTestFinished } from 'vitest';
import { startApp, type App } from '../../src/service/app.js';
import type { Change } from '../../src/base/change.js';
import type { Config } from '../../src/config/load.js';

export const alice = '@alice:hs.example';
export const bob = '@bob:hs.example';
export const carol = '@carol:far.example';

export const serviceToken = 'service-token-of-the-tests';
export const membershipsPath = '/_mutual_rooms/v1/memberships';
export const stablePath = '/_matrix/client/v1/mutual_rooms';
export const unstablePath = '/_matrix/client/unstable/uk.half-shot.msc2666/user/mutual_rooms';
export const unstableSharedPath = '/_matrix/client/unstable/uk.half-shot.msc2666/user/shared_rooms';

export function testConfig(overrides: Partial<Config> = {}): Config {
  return {
    listen: { host: '127.0.0.1', port: 0 },
    dataDir: null,
    store: { bytesMax: 2 ** 37, recentChangesMax: 2 ** 20, compactAtWaste: null },
    shards: 0,
    pageSize: 3,
    auth: {
      staticTokens: new Map([
        ['alice-token', alice],
        ['bob-token', bob],
      ]),
    },
    serviceToken,
    rateLimit: null,
    versions: { advertiseV119: false },
    metrics: { listen: null },
    import: { bodyBytesMax: 2 ** 20 },
    logLevel: 'trace',
    ...overrides,
  };
}

/** A configuration that asks this homeserver, and nobody else, who it is. */
export function configWithHomeserver(url: string, overrides: Partial<Config> = {}): Config {
  return testConfig({
    homeserver: { url, whoamiCache: { ttlSeconds: 60, entries: 100, negativeTtlSeconds: 0 } },
    auth: { staticTokens: new Map() },
    ...overrides,
  });
}

export type Json = Record<string, unknown>;

export interface Answer {
  readonly status: number;
  readonly headers: IncomingHttpHeaders;
  readonly text: string;
  /** Empty when the answer has no body. */
  readonly json: Json;
}

export interface Asking {
  readonly token?: string | undefined;
  readonly method?: string;
  readonly headers?: Record<string, string>;
  /** An array is sent in chunks, one after another. */
  readonly body?: string | Uint8Array | readonly Uint8Array[];
}

export class ServerUnderTest {
  readonly app: App;
  /** Everything that was logged, at any level. */
  readonly logged: readonly string[];
  /** Ended with the server, which else leaves kept connections open for a moment. */
  readonly #agent = new Agent({ keepAlive: true });

  constructor(app: App, logged: readonly string[]) {
    this.app = app;
    this.logged = logged;
  }

  get url(): string {
    return this.app.url;
  }

  /** Sends the path as it is, and checks what holds for every answer. */
  async ask(path: string, asking: Asking = {}): Promise<Answer> {
    const answer = await send(this.url, path, asking, this.#agent);
    checkAnswer(answer);
    return answer;
  }

  async mutual(otherId: string, token = 'alice-token'): Promise<Answer> {
    return this.ask(`${stablePath}?user_id=${encodeURIComponent(otherId)}`, { token });
  }

  /** Bytes in, the answer out: for what no HTTP client would send. */
  async exchange(bytes: string): Promise<Answer> {
    const answer = parseAnswer(await rawExchange(this.url, bytes));
    checkAnswer(answer);
    return answer;
  }

  async join(userIds: readonly string[], roomIds: readonly string[]): Promise<void> {
    const changes: Change[] = roomIds.flatMap((roomId) =>
      userIds.map((userId) => ({ userId, roomId, joined: true })),
    );
    await this.app.apply(changes);
  }

  async close(): Promise<void> {
    const closed = this.app.close();
    // Those in use are for the server to end.
    for (const idle of Object.values(this.#agent.freeSockets).flat()) idle?.destroy();
    await closed;
  }
}

/** For a suite: closed by whoever started it. */
export async function startServer(config: Config = testConfig()): Promise<ServerUnderTest> {
  const logged: string[] = [];
  const logger = pino({ level: config.logLevel }, { write: (line: string) => void logged.push(line) });
  return new ServerUnderTest(await startApp(config, { logger }), logged);
}

/** For one test: closed when it ends. */
export async function openServer(config: Config = testConfig()): Promise<ServerUnderTest> {
  const server = await startServer(config);
  onTestFinished(() => server.close());
  return server;
}

export async function send(
  url: string,
  path: string,
  { token, method = 'GET', headers = {}, body }: Asking = {},
  agent?: Agent,
): Promise<Answer> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const sent = request(
      {
        hostname,
        port,
        path,
        method,
        agent,
        headers: {
          ...(token === undefined ? {} : { authorization: `Bearer ${token}` }),
          // Node sends neither length nor chunks with a GET, HEAD, DELETE or OPTIONS unless it is told to.
          ...(body === undefined || Array.isArray(body)
            ? {}
            : { 'content-length': Buffer.byteLength(body as string) }),
          ...headers,
        },
      },
      (response) => {
        const chunks: Buffer[] = [];
        response.on('data', (chunk: Buffer) => chunks.push(chunk));
        response.on('error', reject);
        response.on('end', () => {
          const text = Buffer.concat(chunks).toString();
          // An answer may come before the body was sent whole; what follows should not overlap with the rest of it.
          sent.on('close', () => resolve(answerOf(response.statusCode ?? 0, response.headers, text)));
        });
      },
    );
    sent.on('error', reject);
    if (Array.isArray(body)) {
      void (async () => {
        for (const chunk of body as readonly Uint8Array[]) {
          sent.write(chunk);
          await new Promise((resume) => setImmediate(resume));
        }
        sent.end();
      })();
    } else sent.end(body as string | Uint8Array | undefined);
  });
}

async function rawExchange(url: string, bytes: string): Promise<string> {
  const { hostname, port } = new URL(url);
  return new Promise((resolve, reject) => {
    const socket = connect(Number(port), hostname, () => socket.write(bytes));
    const chunks: Buffer[] = [];
    socket.on('data', (chunk) => chunks.push(chunk));
    socket.on('error', reject);
    socket.on('end', () => {
      socket.end();
      resolve(Buffer.concat(chunks).toString());
    });
  });
}

function parseAnswer(raw: string): Answer {
  const headEnd = raw.indexOf('\r\n\r\n');
  const [statusLine, ...lines] = raw.slice(0, headEnd).split('\r\n');
  const headers = Object.fromEntries(
    lines.map((line) => [
      line.slice(0, line.indexOf(':')).toLowerCase(),
      line.slice(line.indexOf(':') + 1).trim(),
    ]),
  );
  return answerOf(Number(statusLine.split(' ')[1]), headers, raw.slice(headEnd + 4));
}

function answerOf(status: number, headers: IncomingHttpHeaders, text: string): Answer {
  const isJson = text !== '' && headers['content-type'] === 'application/json';
  return { status, headers, text, json: isJson ? (JSON.parse(text) as Json) : {} };
}

/** No caching; and Client-Server API, "Web Browser Clients", "API Standards" and "Standard error response". */
function checkAnswer({ status, headers, text, json }: Answer): void {
  expect(headers).toMatchObject({
    'access-control-allow-origin': '*',
    'access-control-allow-methods': 'GET, POST, PUT, DELETE, OPTIONS',
    'access-control-allow-headers': 'X-Requested-With, Content-Type, Authorization',
    // As Synapse sends it: an answer is of one person.
    'cache-control': 'no-cache, no-store, must-revalidate',
  });
  if (text !== '' && !headers['content-type']?.startsWith('text/plain')) {
    expect(headers['content-type']).toBe('application/json');
  }
  if (text !== '' && status >= 400) {
    expect(json).toMatchObject({ errcode: expect.stringMatching(/^M_[A-Z_]+$/), error: expect.any(String) });
    expect(json.error).not.toBe('');
  }
}

export function roomIds(count: number, name = 'room'): string[] {
  return Array.from({ length: count }, (_, index) => `!${name}${index}:hs.example`);
}

export function joinedOf(answer: Answer): string[] {
  return answer.json.joined as string[];
}
