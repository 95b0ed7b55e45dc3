/**
 * What operators and their tools ask: /health (the process is alive), /ready (the index is loaded, and every shard answers), /metrics.
 */
import type { FastifyInstance } from 'fastify';
import { MatrixError } from '../base/matrix-error.js';
import type { Metrics } from '../metrics/metrics.js';
import { errorBody, setRetryAfter } from './errors.js';
import { sendJson } from './json.js';
import { startingText, type IndexInService } from './served-index.js';

export function addHealth(app: FastifyInstance, service: IndexInService): void {
  app.get('/health', { config: { endpoint: 'health' } }, async (_request, reply) => {
    return sendJson(reply, { status: 'alive' });
  });
  app.get('/ready', { config: { endpoint: 'ready' } }, async (_request, reply) => {
    const { starting } = service;
    if (starting !== undefined) {
      const error = new MatrixError(503, 'M_UNKNOWN', `not ready: ${startingText(starting)}`, {
        retryAfterSeconds: 1,
      });
      // What else than people reads this: the figure without the words around it.
      const body = { ...errorBody(error), status: starting.phase, share: starting.share };
      return sendJson(setRetryAfter(reply.code(503), error), body);
    }
    const { engine, store } = service.get();
    if (store.lostTo !== undefined)
      throw new MatrixError(503, 'M_UNKNOWN', `not ready: ${store.lostTo}`, { retryAfterSeconds: 30 });
    if (engine.failure !== undefined) {
      throw new MatrixError(503, 'M_UNKNOWN', `not ready: a shard lost its memberships (${engine.failure})`, {
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
