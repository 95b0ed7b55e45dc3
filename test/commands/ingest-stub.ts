/** A real HTTP server that answers memberships as the service API does, and first whatever a test queues up. */
import { createServer, type IncomingMessage, type ServerResponse } from 'node:http';
import type { AddressInfo } from 'node:net';

type Handler = (request: IncomingMessage, response: ServerResponse) => void;

export interface IngestStub {
  readonly url: string;
  /** Lines of each body that was answered with 200. */
  readonly bodies: string[][];
  /** Handlers for the next requests, instead of the answer. */
  readonly queued: Handler[];
  close(): Promise<void>;
}

/** Rejects every line that holds "bad". */
export async function startIngestStub(token = 'secret'): Promise<IngestStub> {
  const bodies: string[][] = [];
  const queued: Handler[] = [];
  const server = createServer((request, response) => {
    const chunks: Buffer[] = [];
    request.on('data', (chunk: Buffer) => chunks.push(chunk));
    request.on('end', () => {
      const handler = queued.shift();
      if (handler !== undefined) {
        handler(request, response);
        return;
      }
      const right =
        request.method === 'POST' &&
        request.url === '/_mutual_rooms/v1/memberships' &&
        request.headers['content-type'] === 'application/x-ndjson' &&
        request.headers.authorization === `Bearer ${token}`;
      if (!right) {
        response.writeHead(401).end('{"errcode":"M_UNKNOWN_TOKEN","error":"wrong"}');
        return;
      }
      const lines = Buffer.concat(chunks).toString().split('\n').slice(0, -1);
      bodies.push(lines);
      const bad = lines.flatMap((line, index) =>
        line.includes('bad') ? [{ line: index + 1, error: 'it is bad' }] : [],
      );
      const answer = {
        applied: lines.length - bad.length,
        ignored: 0,
        rejected: bad.slice(0, 100),
        rejected_count: bad.length,
      };
      response.writeHead(200, { 'content-type': 'application/json' }).end(JSON.stringify(answer));
    });
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${(server.address() as AddressInfo).port}`,
    bodies,
    queued,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

export function answering(status: number, headers: Record<string, string> = {}, body = '{}'): Handler {
  return (_request, response) => response.writeHead(status, headers).end(body);
}

export const hangUp: Handler = (request) => request.socket.destroy();
