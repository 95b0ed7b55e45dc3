/**
 * The endpoints for operators: /health (the process is alive), /ready (the index is loaded, and every shard answers), /metrics.
 */
import type { FastifyInstance } from 'fastify';
import { MatrixError } from '../base/matrix-error.js';
import type { Metrics } from '../metrics/metrics.js';
import { errorBody, setRetryAfter } from './errors.js';
import { sendJson } from './json.js';
import { startingText, type Backend } from './backend.js';

/** @param staleAfterMs when a source that was not read to its end makes the server not ready; null never */
export function addHealth(app: FastifyInstance, service: Backend, staleAfterMs: number | null = null): void {
  app.get('/health', { config: { endpoint: 'health' } }, async (_request, reply) => {
    return sendJson(reply, { status: 'alive' });
  });
  app.get('/ready', { config: { endpoint: 'ready' } }, async (_request, reply) => {
    const { starting } = service;
    if (starting !== undefined) {
      const error = new MatrixError(503, 'M_UNKNOWN', `not ready: ${startingText(starting)}`, {
        retryAfterSeconds: 1,
      });
      // For programs: the phase and the share without the words around them.
      const body = {
        ...errorBody(error),
        status: starting.phase,
        share: starting.share,
        ...sourceBody(service),
      };
      return sendJson(setRetryAfter(reply.code(503), error), body);
    }
    const { engine, store } = service.get();
    if (store.lostTo !== undefined)
      throw new MatrixError(503, 'M_UNKNOWN', `not ready: ${store.lostTo}`, { retryAfterSeconds: 30 });
    if (engine.shards.failure !== undefined) {
      throw new MatrixError(
        503,
        'M_UNKNOWN',
        `not ready: a shard lost its memberships (${engine.shards.failure})`,
        {
          retryAfterSeconds: 30,
        },
      );
    }
    const ageMs = (service.source?.status.ageSeconds ?? 0) * 1000;
    if (staleAfterMs !== null && ageMs > staleAfterMs) {
      const text = `not ready: the source was last read to its end ${Math.round(ageMs / 1000)} s ago`;
      const error = new MatrixError(503, 'M_UNKNOWN', text, { retryAfterSeconds: 5 });
      const body = { ...errorBody(error), status: 'stale', ...sourceBody(service) };
      return sendJson(setRetryAfter(reply.code(503), error), body);
    }
    return sendJson(reply, { status: 'ready', shards: engine.shards.count, ...sourceBody(service) });
  });
}

/** The status of the source, as JSON has it. */
function sourceBody({ source }: Backend): { source?: object } {
  if (source === undefined) return {};
  const { kind, state, ageSeconds, failures, lastError, details } = source.status;
  return {
    source: {
      kind,
      state,
      age_seconds: Number.isFinite(ageSeconds) ? ageSeconds : null,
      failures,
      ...details,
      last_error: lastError?.message ?? null,
      last_error_at: lastError === undefined ? null : new Date(lastError.atMs).toISOString(),
    },
  };
}

export function addMetrics(app: FastifyInstance, metrics: Metrics): void {
  app.get('/metrics', { config: { endpoint: 'metrics' } }, async (_request, reply) => {
    return reply.type(metrics.contentType).send(await metrics.text());
  });
}
