/**
 * The HTTP server's frame: what holds for every answer, whatever the endpoint. CORS and no caching on all of them, OPTIONS without
 * logic, Matrix errors for everything (unknown paths, wrong methods, requests that do not even parse), metrics.
 *
 * Nothing here logs a path, a query string or a header: all of them may hold IDs or tokens.
 */
import { METHODS, createServer as createHttpServer } from 'node:http';
import type { Socket } from 'node:net';
import { parse } from 'node:querystring';
import Fastify, { LogController, type FastifyBaseLogger, type FastifyInstance } from 'fastify';
import { systemClock, type Clock } from '../base/clock.js';
import { MatrixError } from '../base/matrix-error.js';
import type { Metrics } from '../metrics/metrics.js';
import { Admission, type AdmissionBounds } from './admission.js';
import { keepAliveTimeoutMs, requestTimeoutMs, userIdBytesMax } from './bounds.js';
import { everyAnswer } from './json.js';
import { errorBody, matrixErrorOf, RequestAborted, sendError, unrecognized } from './errors.js';

declare module 'fastify' {
  interface FastifyInstance {
    admission: Admission;
  }
  interface FastifyRequest {
    startedAtMs: number;
  }
  interface FastifyContextConfig {
    /** Name of the endpoint in metrics: never anything that a client chose. */
    endpoint?: string;
  }
}

/** Endpoint name of the 405s. */
const wrongMethod = 'wrong_method';

/** Longest path parameter: the longest user ID, each byte of it percent-encoded. */
const paramLengthMax = 3 * userIdBytesMax;

export interface ServerOptions {
  readonly logger: FastifyBaseLogger;
  readonly metrics: Metrics;
  readonly clock?: Clock;
  /** In place of those of bounds.ts. */
  readonly bounds?: Partial<AdmissionBounds>;
}

export function createServer({
  logger,
  metrics,
  clock = systemClock,
  bounds,
}: ServerOptions): FastifyInstance {
  const admission = new Admission(metrics, clock, bounds);
  const app = Fastify({
    loggerInstance: logger,
    // It counts for what closes, too, and that has a bound of its own (bounds.ts).
    pluginTimeout: 0,
    logController: new LogController({ disableRequestLogging: true }),
    // By default fastify makes a logger for each request, whether it logs or not.
    childLoggerFactory: (parent) => parent,
    routerOptions: { maxParamLength: paramLengthMax, querystringParser: parseQuery },
    // On shutdown, what still arrives on an open connection is answered before that is closed.
    return503OnClosing: false,
    serverFactory: (handle) => {
      const server = createHttpServer({
        requestTimeout: requestTimeoutMs,
        keepAliveTimeout: keepAliveTimeoutMs,
        // Without a Host header node would answer by itself, and without CORS; the hook below refuses it instead.
        requireHostHeader: false,
      });
      admission.guard(server, handle);
      return server;
    },
    frameworkErrors: (error, request, reply) => {
      if (request.method === 'OPTIONS') {
        metrics.request('unreadable', 204, 0);
        reply.raw.writeHead(204, everyAnswer).end();
        return;
      }
      void reply.headers(everyAnswer);
      const answer = matrixErrorOf(error) ?? new MatrixError(400, 'M_UNKNOWN', 'the request cannot be read');
      metrics.request('unreadable', answer.status, 0);
      void sendError(reply, answer);
    },
    clientErrorHandler: (error, socket) => {
      if (error.code === 'ECONNRESET' || !socket.writable) socket.destroy();
      else admission.answerUnparsed(socket, () => answerUnparsed(error, socket, metrics));
    },
  });
  for (const method of METHODS) if (!app.supportedMethods.includes(method)) app.addHttpMethod(method);

  refuseOtherMethods(app);
  // All that was asked is answered, and all connections have ended, before fastify closes what is left: nothing.
  app.addHook('preClose', (done) => void admission.drain().then(() => done()));
  // Handlers read bodies themselves, as streams. They refuse a media type with a text that names those they take.
  app.removeAllContentTypeParsers();
  app.addContentTypeParser('*', (_request, payload, done) => done(null, payload));

  app.decorate('admission', admission);
  app.decorateRequest('startedAtMs', 0);
  app.addHook('onRequest', (request, reply, done) => {
    request.startedAtMs = clock.monotonicMs();
    if (request.raw.httpVersion === '1.1' && request.headers.host === undefined) {
      done(new MatrixError(400, 'M_UNKNOWN', 'the request has no Host header'));
    } else if (request.method === 'OPTIONS') void reply.code(204).send();
    else done();
  });
  // Runs for everything but `sendJsonBytes`, which brings the same headers.
  app.addHook('onSend', (_request, reply, payload, done) => {
    void reply.headers(everyAnswer);
    done(null, payload);
  });
  app.addHook('onResponse', (request, reply, done) => {
    const seconds = (clock.monotonicMs() - request.startedAtMs) / 1000;
    metrics.request(request.routeOptions.config.endpoint ?? 'unknown', reply.statusCode, seconds);
    done();
  });
  app.setErrorHandler((error, request, reply) => {
    if (error instanceof RequestAborted) {
      const { endpoint } = request.routeOptions.config;
      request.log.debug({ endpoint }, 'a client went away before its request was whole');
    }
    const known = matrixErrorOf(error);
    if (known !== undefined) return sendError(reply, known);
    metrics.fault();
    request.log.error(
      { err: error, endpoint: request.routeOptions.config.endpoint },
      'a request failed by our fault',
    );
    return sendError(
      reply,
      new MatrixError(500, 'M_UNKNOWN', 'internal error: the log of the server says more'),
    );
  });
  app.setNotFoundHandler(() => {
    throw unrecognized(404, 'there is nothing at this path');
  });
  return app;
}

/**
 * As the URL standard decodes: `%` that no two hexadecimal digits follow stands for itself, and bytes that are no UTF-8 become
 * U+FFFD, which no ID and no token holds. So what is asked for is never taken to be something else that was not.
 */
function parseQuery(text: string): Record<string, unknown> {
  // Node's header bound is the bound of their number.
  return parse(text, '&', '=', { maxKeys: 0 });
}

/** Answers 405 to every method that a path has no route for, whatever body the request has. */
function refuseOtherMethods(app: FastifyInstance): void {
  const allowed = new Map<string, string[]>();
  app.addHook('onRoute', ({ url, method, config }) => {
    if (config?.endpoint === wrongMethod) return;
    allowed.set(url, [...(allowed.get(url) ?? []), ...[method].flat()]);
  });
  // A plugin runs when the server starts: by then every endpoint has been added.
  void app.register(async (scope) => {
    for (const [url, methods] of [...allowed]) {
      scope.route({
        url,
        method: app.supportedMethods.filter((method) => !methods.includes(method) && method !== 'OPTIONS'),
        config: { endpoint: wrongMethod },
        onRequest: async (_request, reply) => {
          void reply.header('allow', [...methods, 'OPTIONS'].join(', '));
          throw unrecognized(405, `use ${methods.join(' or ')} here`);
        },
        handler: async () => undefined,
      });
    }
  });
}

/** A request that node cannot parse has no request and no reply object, so the answer is written by hand. */
function answerUnparsed(error: Error & { code?: string }, socket: Socket, metrics: Metrics): void {
  const [status, text] =
    error.code === 'HPE_HEADER_OVERFLOW'
      ? ([431, 'Request Header Fields Too Large'] as const)
      : error.code === 'ERR_HTTP_REQUEST_TIMEOUT'
        ? ([408, 'Request Timeout'] as const)
        : ([400, 'Bad Request'] as const);
  metrics.request('unreadable', status, 0);
  const body = JSON.stringify(
    errorBody(new MatrixError(status, 'M_UNKNOWN', `the request cannot be read: ${text}`)),
  );
  const headers = {
    ...everyAnswer,
    'content-type': 'application/json',
    'content-length': String(Buffer.byteLength(body)),
    connection: 'close',
  };
  const lines = Object.entries(headers).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.end(`HTTP/1.1 ${status} ${text}\r\n${lines.join('')}\r\n${body}`, () => socket.destroy());
}
