/**
 * A homeserver of the tests: a real HTTP server on a free port, answering what the test says and keeping what it was asked.
 */
import { createServer, type IncomingHttpHeaders, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

export interface Asked {
  readonly method: string | undefined;
  readonly url: string | undefined;
  readonly headers: IncomingHttpHeaders;
}

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface FakeHomeserver {
  readonly url: string;
  readonly asked: readonly Asked[];
  close(): Promise<void>;
}

export async function startHomeserver(handler: Handler): Promise<FakeHomeserver> {
  const asked: Asked[] = [];
  const server = createServer((request, response) => {
    asked.push({ method: request.method, url: request.url, headers: request.headers });
    handler(request, response);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    asked,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function answerJson(response: ServerResponse, status: number, body: unknown, headers = {}): void {
  response.writeHead(status, { 'content-type': 'application/json', ...headers }).end(JSON.stringify(body));
}

/** Answers `whoami` from a table of token to body, and 401 to any other token. */
export function whoamiOf(bodies: Readonly<Record<string, unknown>>): Handler {
  return (request, response) => {
    const token = request.headers.authorization?.replace(/^Bearer /, '') ?? '';
    const body = Object.hasOwn(bodies, token) ? bodies[token] : undefined;
    if (body !== undefined) answerJson(response, 200, body);
    else answerJson(response, 401, { errcode: 'M_UNKNOWN_TOKEN', error: 'Unrecognised access token' });
  };
}
