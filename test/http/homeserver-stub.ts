/**
 * What does a homeserver say to whoami and versions? One over real HTTP, whose answers a test chooses, and which remembers
 * what it was asked.
 */
import { createServer, type IncomingHttpHeaders, type Server } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface SeenRequest {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

export interface StubAnswer {
  readonly status: number;
  /** An object is sent as JSON, a string as it is. */
  readonly body: unknown;
  readonly headers?: Record<string, string>;
}

const whoamiPath = '/_matrix/client/v3/account/whoami';
const versionsPath = '/_matrix/client/versions';

const unknownToken: StubAnswer = {
  status: 401,
  body: { errcode: 'M_UNKNOWN_TOKEN', error: 'Invalid access token passed.', soft_logout: false },
};

export class HomeserverStub {
  readonly seen: SeenRequest[] = [];
  /** What whoami says, by access token; every other token is unknown. */
  readonly whoami = new Map<string, StubAnswer>();
  versions: StubAnswer = { status: 200, body: { versions: ['v1.11', 'v1.12'] } };
  readonly #server: Server;
  #held: Promise<void> = Promise.resolve();

  private constructor() {
    this.#server = createServer((request, response) => {
      this.seen.push({ method: request.method, url: request.url, headers: request.headers });
      const { status, body, headers } = this.#answerTo(request.url, request.headers.authorization);
      request.resume();
      void this.#held.then(() => {
        response.writeHead(status, { 'content-type': 'application/json', ...headers });
        response.end(typeof body === 'string' ? body : JSON.stringify(body));
      });
    });
  }

  static async start(): Promise<HomeserverStub> {
    const stub = new HomeserverStub();
    await new Promise<void>((resolve) => stub.#server.listen(0, '127.0.0.1', resolve));
    return stub;
  }

  get url(): string {
    return `http://127.0.0.1:${(this.#server.address() as AddressInfo).port}`;
  }

  knows(token: string, userId: string, isGuest = false): void {
    this.whoami.set(token, {
      status: 200,
      body: { user_id: userId, device_id: 'PHONE', is_guest: isGuest },
    });
  }

  /** From now on every answer waits. @returns what lets them go */
  hold(): () => void {
    let release = (): void => undefined;
    this.#held = new Promise((resolve) => (release = resolve));
    return release;
  }

  async close(): Promise<void> {
    this.#server.closeAllConnections();
    await new Promise((resolve) => this.#server.close(resolve));
  }

  #answerTo(url: string | undefined, authorization: string | undefined): StubAnswer {
    const path = url?.split('?')[0];
    if (path === versionsPath) return this.versions;
    if (path !== whoamiPath)
      return { status: 404, body: { errcode: 'M_UNRECOGNIZED', error: 'no such path' } };
    return this.whoami.get(authorization?.replace(/^Bearer /, '') ?? '') ?? unknownToken;
  }
}
