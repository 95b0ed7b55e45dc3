/**
 * What operators and their tools ask: /health (the process is alive), /ready (the index is loaded, and every shard answers), /metrics.
 */
import type { FastifyInstance } from 'fastify';
import { MatrixError } from '../base/matrix-error.js';
import type { Metrics } from '../metrics/metrics.js';
import { errorBody, setRetryAfter } from './errors.js';
import { sendJson } from './json.js';
import { startingText, type IndexInService } from './served-index.js';

/** @param staleAfterMs when a source that was not read to its end makes the server not ready; null never */
export function addHealth(
  app: FastifyInstance,
  service: IndexInService,
  staleAfterMs: number | null = null,
): void {
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

/** What is known of the source, in the words of JSON. */
function sourceBody({ source }: IndexInService): { source?: object } {
  if (source === undefined) return {};
  const { kind, state, ageSeconds, position, lastError, reconciled, redisUp, ...counts } = source.status;
  return {
    source: {
      kind,
      state,
      age_seconds: Number.isFinite(ageSeconds) ? ageSeconds : null,
      position,
      gaps_open: counts.gapsOpen,
      gaps_retired: counts.gapsRetired,
      rows_read: counts.rowsRead,
      changes_made: counts.changesMade,
      copies: counts.copies,
      failures: counts.failures,
      reconcile: {
        runs: reconciled.runs,
        sweeps: reconciled.sweeps,
        rooms_compared: reconciled.roomsCompared,
        rooms_skipped: reconciled.roomsSkipped,
        rooms_purged: reconciled.roomsPurged,
        rooms_drifted: reconciled.roomsDrifted,
        memberships_repaired: reconciled.membershipsRepaired,
        last_at: reconciled.last === undefined ? null : new Date(reconciled.last.atMs).toISOString(),
        last_seconds: reconciled.last?.seconds ?? null,
      },
      ...(redisUp === undefined ? {} : { redis_up: redisUp }),
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
