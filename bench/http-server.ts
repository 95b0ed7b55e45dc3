/** The two servers of bench/http.ts, each in a process of its own: told what to be by a message, answers with its URL. */
import { createServer } from 'node:http';
import type { AddressInfo } from 'node:net';
import { pino } from 'pino';
import { configOfValues } from '#dist/config/load';
import { startApp } from '#dist/service/app';

export type ServerOrder =
  | { readonly kind: 'index'; readonly rooms: number; readonly shards: number }
  | { readonly kind: 'bare'; readonly body: string; readonly headers: Record<string, string> };

export interface ServerMessage {
  readonly url: string;
}

const [alice, bob] = ['@alice:example.org', '@bob:example.org'];

async function index(rooms: number, shards: number): Promise<string> {
  const app = await startApp(
    configOfValues({
      listen: { host: '127.0.0.1', port: 0 },
      data_dir: null,
      shards,
      auth: { static_tokens: { 'alice-token': alice } },
      // On, as in real life, and out of the way.
      rate_limit: { per_second: 1e6, burst: 1e6 },
    }),
    { logger: pino({ level: 'warn' }) },
  );
  const roomIds = Array.from({ length: rooms }, (_, room) => `!abcdefghijklmnop${1000 + room}:example.org`);
  await app.apply(
    roomIds.flatMap((roomId) => [alice, bob].map((userId) => ({ userId, roomId, joined: true }))),
  );
  return app.url;
}

async function bare(text: string, headers: Record<string, string>): Promise<string> {
  const body = Buffer.from(text);
  const server = createServer((_request, response) => {
    response.writeHead(200, { ...headers, 'content-length': body.length });
    response.end(body);
  });
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  return `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
}

process.once('message', (order: ServerOrder) => {
  const url = order.kind === 'index' ? index(order.rooms, order.shards) : bare(order.body, order.headers);
  void url.then((text) => process.send?.({ url: text } satisfies ServerMessage));
});
