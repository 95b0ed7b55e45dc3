/**
 * What operators and their tools ask: /health (the process is alive), /ready (every shard answers), /metrics.
 */
import type { FastifyInstance } from 'fastify';
import { MatrixError } from '../base/matrix-error.js';
import type { MembershipEngine } from '../engine/engine.js';
import type { Metrics } from '../metrics/metrics.js';
import { errorBody, setRetryAfter } from './errors.js';
import { sendJson } from './json.js';

export function addHealth(app: FastifyInstance, engine: MembershipEngine): void {
  app.get('/health', { config: { endpoint: 'health' } }, async (_request, reply) => {
    return sendJson(reply, { status: 'alive' });
  });
  app.get('/ready', { config: { endpoint: 'ready' } }, async (_request, reply) => {
    const { failure, loaded } = engine;
    if (failure !== undefined && loaded < 1) {
      const error = new MatrixError(503, 'M_UNKNOWN', `not ready: ${failure}`, { retryAfterSeconds: 1 });
      return sendJson(setRetryAfter(reply.code(503), error), {
        ...errorBody(error),
        status: 'loading',
        loaded,
      });
    }
    if (failure !== undefined) {
      throw new MatrixError(503, 'M_UNKNOWN', `not ready: a shard lost its memberships (${failure})`, {
        retryAfterSeconds: 30,
      });
    }
    return sendJson(reply, { status: 'ready', shards: engine.shardCount });
  });
}

export function addMetrics(app: FastifyInstance, metrics: Metrics): void {
  app.get('/metrics', { config: { endpoint: 'metrics' } }, async (_request, reply) => {
    return reply.type(metrics.contentType).send(await metrics.text());
  });
}
