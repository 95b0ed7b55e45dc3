/**
 * POST /_mutual_rooms/v1/memberships: changes in, as NDJSON or as a msgpack array, parsed while they stream in.
 *
 * When the answer arrives, every later question sees the changes. A malformed line is rejected by its number and does not
 * stop the rest. Applying the same lines again does no harm, so after any error the whole body may be sent again.
 * Memory is bounded: one batch is parsed while the body waits for it.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import { tokenHash } from '../auth/token-hash.js';
import type { Change } from '../base/change.js';
import { systemClock } from '../base/clock.js';
import { MatrixError } from '../base/matrix-error.js';
import { rejectedListedMax } from '../base/limits.js';
import type { Metrics } from '../metrics/metrics.js';
import { readMsgpack } from '../source/formats/msgpack.js';
import { readNdjson } from '../source/formats/ndjson.js';
import { findBearerToken } from './access-token.js';
import { RequestAborted } from './errors.js';
import { ImportLog } from './import-log.js';
import { sendJson } from './json.js';
import type { Backend } from './backend.js';

const membershipsPath = '/_mutual_rooms/v1/memberships';

const readers = new Map([
  ['application/x-ndjson', readNdjson],
  ['application/msgpack', readMsgpack],
]);

export interface MembershipsDeps {
  readonly service: Backend;
  readonly metrics: Metrics;
  readonly serviceToken: string;
  readonly bodyBytesMax: number;
}

export function addMemberships(app: FastifyInstance, deps: MembershipsDeps): void {
  const hashOfOurs = tokenHash(deps.serviceToken);
  const log = new ImportLog(app.log, systemClock);
  app.addHook('onClose', async () => log.flush());
  app.post(
    membershipsPath,
    {
      config: { endpoint: 'memberships' },
      // In this hook, so that the token is checked before the body is read.
      onRequest: async (request) => {
        const token = findBearerToken(request);
        if (token === undefined) {
          const text = 'send the service_token of the configuration as "Authorization: Bearer <token>"';
          throw new MatrixError(401, 'M_MISSING_TOKEN', text);
        }
        if (tokenHash(token) !== hashOfOurs) {
          throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'this is not the service_token of the configuration');
        }
      },
    },
    async (request, reply) => {
      const result = await ingestBody(request, deps, log);
      return sendJson(reply, result);
    },
  );
}

const nothing = { applied: 0, ignored: 0 };

interface IngestAnswer {
  applied: number;
  ignored: number;
  rejected: { line: number; error: string }[];
  rejected_count: number;
}

async function ingestBody(
  request: FastifyRequest,
  { service, metrics, bodyBytesMax }: MembershipsDeps,
  log: ImportLog,
): Promise<IngestAnswer> {
  if (service.source !== undefined) {
    throw new MatrixError(
      403,
      'M_FORBIDDEN',
      `memberships come from the source of the configuration (${service.source.status.kind}), and from nobody else`,
    );
  }
  const type = request.headers['content-type']?.split(';')[0].trim().toLowerCase() ?? '';
  const read = readers.get(type);
  if (read === undefined) {
    throw new MatrixError(415, 'M_UNKNOWN', `Content-Type must be ${[...readers.keys()].join(' or ')}`);
  }
  const encoding = request.headers['content-encoding'] ?? 'identity';
  if (encoding !== 'identity') {
    throw new MatrixError(
      415,
      'M_UNKNOWN',
      `Content-Encoding ${encoding} is not taken: send the body unpacked`,
    );
  }
  const { ingest } = service.get();
  const result: IngestAnswer = { applied: 0, ignored: 0, rejected: [], rejected_count: 0 };
  const { raw } = request;
  // By default, a reader that stops early destroys the stream, and the connection with it: the answer would not arrive.
  const chunks = untilAborted(raw.iterator({ destroyOnReturn: false }));
  const body = bounded(chunks, Number(request.headers['content-length'] ?? 0), bodyBytesMax);
  try {
    for await (const items of read(body)) {
      const changes: Change[] = [];
      const rejectedBefore = result.rejected_count;
      for (const { line, change, fault } of items) {
        if (change !== undefined) changes.push(change);
        else {
          result.rejected_count += 1;
          if (result.rejected.length < rejectedListedMax)
            result.rejected.push({ line, error: fault ?? 'unreadable' });
        }
      }
      const { applied, ignored } = changes.length === 0 ? nothing : await ingest.apply(changes);
      result.applied += applied;
      result.ignored += ignored;
      metrics.changes(applied, ignored, result.rejected_count - rejectedBefore);
      log.add(applied, ignored, result.rejected_count - rejectedBefore);
    }
  } finally {
    // What is left of the body is read and thrown away: the client gets the answer once it has sent everything.
    raw.resume();
  }
  return result;
}

/** @throws RequestAborted when the client goes away, be it with bytes that it sent and nobody has read yet; what was applied stays */
async function* untilAborted(body: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  try {
    for await (const chunk of body) yield chunk;
  } catch (error) {
    throw new RequestAborted({ cause: error });
  }
}

/** @throws MatrixError 413: at once when the length is declared, else when the bound is passed */
async function* bounded(
  body: AsyncIterable<Uint8Array>,
  declaredBytes: number,
  bytesMax: number,
): AsyncIterable<Uint8Array> {
  let bytes = declaredBytes;
  if (bytes <= bytesMax) {
    bytes = 0;
    for await (const chunk of body) {
      bytes += chunk.length;
      if (bytes > bytesMax) break;
      yield chunk;
    }
  }
  if (bytes > bytesMax) {
    throw new MatrixError(
      413,
      'M_TOO_LARGE',
      `the body is larger than ${bytesMax} bytes: send it in pieces of whole lines; sending lines again does no harm`,
    );
  }
}
