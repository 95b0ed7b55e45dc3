/** Does a shutdown finish what is in flight, take nothing new, and leave nothing behind? */
import { createServer } from 'node:http';
import { connect, type AddressInfo } from 'node:net';
import { expect, onTestFinished, test } from 'vitest';
import { HomeserverStub } from '../http/homeserver-stub.js';
import {
  alice,
  bob,
  configWithHomeserver,
  joinedOf,
  openServer,
  startServer,
  testConfig,
} from '../http/server-under-test.js';

async function openStub(): Promise<HomeserverStub> {
  const stub = await HomeserverStub.start();
  onTestFinished(() => stub.close());
  return stub;
}

async function connectionError(url: string): Promise<string | undefined> {
  return new Promise((resolve) => {
    const socket = connect(Number(new URL(url).port), '127.0.0.1');
    socket.on('error', (error: NodeJS.ErrnoException) => resolve(error.code));
    socket.on('connect', () => {
      socket.destroy();
      resolve(undefined);
    });
  });
}

test.each([0, 2])(
  'a slow request is finished while close() waits; then the port is free (%d shards)',
  async (shards) => {
    const stub = await openStub();
    stub.knows('slow', alice);
    const server = await startServer(configWithHomeserver(stub.url, { shards }));
    await server.join([alice, bob], ['!a:x']);
    const release = stub.hold();
    const answering = server.mutual(bob, 'slow');
    await expect.poll(() => stub.seen.length).toBe(1);

    let closed = false;
    const closing = server.close().then(() => (closed = true));
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(closed).toBe(false);
    expect(await connectionError(server.url)).toBe('ECONNREFUSED');

    release();
    const releasedAt = performance.now();
    const answer = await answering;
    expect(answer.status).toBe(200);
    expect(joinedOf(answer)).toEqual(['!a:x']);
    await closing;
    // Its connection is not kept open for a next request.
    expect(performance.now() - releasedAt).toBeLessThan(4000);

    const { port } = new URL(server.url);
    const next = createServer();
    await new Promise<void>((resolve, reject) => {
      next.on('error', reject);
      next.listen(Number(port), '127.0.0.1', resolve);
    });
    await new Promise((resolve) => next.close(resolve));
  },
);

test('connections that are open and idle do not hold it up', async () => {
  const server = await startServer();
  const socket = connect(Number(new URL(server.url).port), '127.0.0.1');
  await new Promise((resolve) => socket.on('connect', resolve));
  const half = connect(Number(new URL(server.url).port), '127.0.0.1', () => half.write('GET /heal'));
  half.on('error', () => undefined);
  await server.ask('/health');
  const ended = new Promise((resolve) => socket.on('close', resolve));
  await server.close();
  await ended;
});

test('closed twice, or before anything was asked: no harm', async () => {
  const server = await startServer(
    testConfig({ shards: 1, metrics: { listen: { host: '127.0.0.1', port: 0 } } }),
  );
  await server.close();
  await server.close();
  expect(await connectionError(server.url)).toBe('ECONNREFUSED');
  expect(await connectionError(server.app.metricsUrl!)).toBe('ECONNREFUSED');
});

test('an address that is taken: startApp says so, and nothing stays open', async () => {
  const taken = createServer();
  await new Promise<void>((resolve) => taken.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void taken.close());
  const { port } = taken.address() as AddressInfo;
  const metricsPort = await freePort();
  const config = testConfig({
    shards: 1,
    listen: { host: '127.0.0.1', port },
    metrics: { listen: { host: '127.0.0.1', port: metricsPort } },
  });
  await expect(startServer(config)).rejects.toMatchObject({ code: 'EADDRINUSE' });
  expect(await connectionError(`http://127.0.0.1:${metricsPort}`)).toBe('ECONNREFUSED');
});

test('an IPv6 address is written in brackets', async () => {
  const server = await openServer(testConfig({ listen: { host: '::1', port: 0 } }));
  expect(server.url).toMatch(/^http:\/\/\[::1\]:\d+$/);
  const response = await fetch(`${server.url}/health`);
  expect(response.status).toBe(200);
});

async function freePort(): Promise<number> {
  const probe = createServer();
  await new Promise<void>((resolve) => probe.listen(0, '127.0.0.1', resolve));
  const { port } = probe.address() as AddressInfo;
  await new Promise((resolve) => probe.close(resolve));
  return port;
}
