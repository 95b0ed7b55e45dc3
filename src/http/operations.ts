/**
 * What operators and their tools ask: /health (the process is alive), /ready (every shard answers), /metrics.
 */
import type { FastifyInstance } from 'fastify';
import { MatrixError } from '../base/matrix-error.js';
import type { MembershipEngine } from '../engine/engine.js';
import type { Metrics } from '../metrics/metrics.js';
import { sendJson } from './json.js';

export function addHealth(app: FastifyInstance, engine: MembershipEngine): void {
  app.get('/health', { config: { endpoint: 'health' } }, async (_request, reply) => {
    return sendJson(reply, { status: 'alive' });
  });
  app.get('/ready', { config: { endpoint: 'ready' } }, async (_request, reply) => {
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
