/** Does each error that a caller can do something about become the status that says so, with the time to wait where that helps? */
import pino from 'pino';
import { expect, onTestFinished, test } from 'vitest';
import type { AddressInfo } from 'node:net';
import { httpUrl } from '../../src/base/http-url.js';
import { PublicError, type PublicErrorCode } from '../../src/base/errors.js';
import { MatrixError } from '../../src/base/matrix-error.js';
import { createServer } from '../../src/http/server.js';
import { Metrics } from '../../src/metrics/metrics.js';

async function answerTo(error: Error): Promise<[status: number, errcode: string, retryAfter: string | null]> {
  const app = createServer({ logger: pino({ level: 'silent' }), metrics: new Metrics() });
  app.get('/', async () => {
    throw error;
  });
  await app.listen({ host: '127.0.0.1', port: 0 });
  onTestFinished(() => app.close());
  const { port } = app.server.address() as AddressInfo;
  const response = await fetch(httpUrl('127.0.0.1', port), { headers: { connection: 'close' } });
  const { errcode, error: text } = (await response.json()) as { errcode: string; error: string };
  if (response.status !== 500) expect(text).toBe(error.message);
  return [response.status, errcode, response.headers.get('retry-after')];
}

const ofCodes: Record<PublicErrorCode, unknown[]> = {
  INVALID: [400, 'M_INVALID_PARAM', null],
  INVALID_TOKEN: [400, 'M_INVALID_PARAM', null],
  OVERLOADED: [503, 'M_UNKNOWN', '1'],
  UNAVAILABLE: [503, 'M_UNKNOWN', '1'],
  FULL: [507, 'M_UNKNOWN', null],
  DAMAGED: [503, 'M_UNKNOWN', '1'],
};

test.each(Object.entries(ofCodes))('%s', async (code, expected) => {
  expect(await answerTo(new PublicError(code as PublicErrorCode, 'what to do'))).toEqual(expected);
});

test('a Matrix error is answered as it is, and has no stack to keep', async () => {
  const error = new MatrixError(429, 'M_LIMIT_EXCEEDED', 'wait', { retryAfterSeconds: 3 });
  expect(error.stack).not.toContain('\n');
  expect(new Error('another').stack).toContain('\n');
  expect(await answerTo(error)).toEqual([429, 'M_LIMIT_EXCEEDED', '3']);
});

test('anything else is our fault: 500', async () => {
  expect(await answerTo(new Error('oops'))).toEqual([500, 'M_UNKNOWN', null]);
});
