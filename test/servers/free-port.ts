/**
 * Ports on the loopback address that nobody listens on, for servers that cannot pick one by themselves or must keep theirs
 * over a restart.
 *
 * Invariant: below the range that the system takes ports for outgoing connections from, so that none takes the port while its
 * server is down. Nothing reserves it: two test files may draw the same one, once in thousands of runs.
 * Cost: one listen and close.
 */
import { once } from 'node:events';
import { createServer } from 'node:net';

const portMin = 12_000;
const portEnd = 32_000;

const given = new Set<number>();

export async function freePort(): Promise<number> {
  for (;;) {
    const port = portMin + Math.floor(Math.random() * (portEnd - portMin));
    if (!given.has(port) && (await isFree(port))) {
      given.add(port);
      return port;
    }
  }
}

async function isFree(port: number): Promise<boolean> {
  const server = createServer();
  try {
    server.listen(port, '127.0.0.1');
    await once(server, 'listening');
  } catch {
    return false;
  }
  server.close();
  await once(server, 'close');
  return true;
}
