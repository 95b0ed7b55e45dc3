/**
 * How much the HTTP server has under way at once, and what becomes of the rest (bounds: bounds.ts).
 *
 * A connection has one request in flight: what is pipelined behind it waits, and until that is through nothing more is
 * read from the socket. So nobody holds more than one answer, and who pipelines waits longest.
 * - Beyond `requestsInFlightMax` requests: 503 at once, but not for what operators ask, nor for OPTIONS.
 * - Beyond `requestsPipelinedMax` waiting ones: the connection is closed, as answers must come in order.
 * - Beyond `answerBytesWaitingMax` bytes of large answers: 503 in place of the answer.
 * - What cannot be parsed is answered when its turn comes, as answers must come in order, and nothing more is read.
 * A reader that was slow for `readerGraceMs` is cut off before anybody else gets a 503, and one that stalls, in any case.
 *
 * Invariant: what is counted belongs to an open connection, and is given back when its answer has left or it closes.
 * Cost: a look-up, a set's entry and one listener a request, about 0.5 microseconds.
 */
import type { IncomingMessage, Server, ServerResponse } from 'node:http';
import { Server as NetServer, type Socket } from 'node:net';
import { assert } from '../base/assert.js';
import type { Clock } from '../base/clock.js';
import { PublicError } from '../base/errors.js';
import type { Metrics } from '../metrics/metrics.js';
import {
  answerBytesWaitingMax,
  answerStalledMs,
  connectionsMax,
  readerGraceMs,
  requestsInFlightMax,
  requestsPipelinedMax,
  smallAnswerBytesMax,
  shutdownGraceMs,
  closingGraceMs,
} from './bounds.js';
import { errorBody, matrixErrorOf } from './errors.js';
import { everyAnswer } from './json.js';

export type RequestHandler = (request: IncomingMessage, response: ServerResponse) => void;

/** Tests take smaller ones. */
export interface AdmissionBounds {
  readonly requestsInFlightMax: number;
  readonly requestsPipelinedMax: number;
  readonly smallAnswerBytesMax: number;
  readonly answerBytesWaitingMax: number;
  readonly readerGraceMs: number;
  readonly answerStalledMs: number;
  readonly connectionsMax: number;
}

const defaultBounds: AdmissionBounds = {
  requestsInFlightMax,
  requestsPipelinedMax,
  smallAnswerBytesMax,
  answerBytesWaitingMax,
  readerGraceMs,
  answerStalledMs,
  connectionsMax,
};

/** Paths that are answered even when everything else is refused. */
const operations = new Set(['/health', '/ready', '/metrics']);

interface Waiting {
  readonly request: IncomingMessage;
  readonly response: ServerResponse;
  readonly handle: RequestHandler;
}

class Connection {
  readonly socket: Socket;
  /** Made once, not for each answer: that was worth a microsecond a request. */
  readonly onFinish: () => void;
  hasAsked = false;
  /** The answer to the request in flight. */
  response: ServerResponse | undefined;
  /** When that request was taken up; if `isLeaving`, when its answer began to leave. */
  sinceMs = 0;
  isLeaving = false;
  /** Bytes of that answer, if it is a large one; else 0. */
  answerBytes = 0;
  /** Pipelined behind it, in order. */
  readonly waiting: Waiting[] = [];
  /** Answers what came after them and could not be parsed. */
  answerUnparsed: (() => void) | undefined;

  constructor(socket: Socket, finish: (connection: Connection) => void) {
    this.socket = socket;
    this.onFinish = () => finish(this);
  }
}

export class Admission {
  readonly #metrics: Metrics;
  readonly #clock: Clock;
  readonly #bounds: AdmissionBounds;
  readonly #connections = new Map<Socket, Connection>();
  /** Those with a counted request in flight, ascending by `sinceMs`. */
  readonly #inFlight = new Set<Connection>();
  #pipelined = 0;
  #answerBytes = 0;
  readonly #servers: Server[] = [];
  #isClosing = false;
  #onLastClosed: (() => void) | undefined;

  constructor(metrics: Metrics, clock: Clock, bounds: Partial<AdmissionBounds> = {}) {
    this.#metrics = metrics;
    this.#clock = clock;
    this.#bounds = { ...defaultBounds, ...bounds };
    metrics.watchAdmission(this);
  }

  get connections(): number {
    return this.#connections.size;
  }

  get requestsInFlight(): number {
    return this.#inFlight.size;
  }

  get requestsPipelined(): number {
    return this.#pipelined;
  }

  get answerBytesWaiting(): number {
    return this.#answerBytes;
  }

  /** Puts itself between the server and the handler of its requests. Call it before the server listens. */
  guard(server: Server, handle: RequestHandler): void {
    this.#servers.push(server);
    server.maxConnections = this.#bounds.connectionsMax;
    server.setTimeout(this.#bounds.answerStalledMs);
    server.on('connection', (socket) => this.#open(socket));
    server.on('drop', () => this.#metrics.cutOff('connections'));
    server.on('timeout', (socket: Socket) => this.#timedOut(socket));
    server.on('request', (request, response) => this.#admit(request, response, handle));
    // An Expect header that nobody knows may be ignored; node would answer 417 by itself, and without CORS.
    server.on('checkExpectation', (request: IncomingMessage, response: ServerResponse) =>
      this.#admit(request, response, handle),
    );
  }

  /**
   * Takes the bytes of an answer that is about to leave; they are given back by themselves.
   * @throws PublicError OVERLOADED when there is no room for it
   */
  takeAnswer(response: ServerResponse, bytes: number): void {
    if (bytes <= this.#bounds.smallAnswerBytesMax) return;
    const connection = this.#connections.get(response.req.socket);
    // The connection was closed: nobody waits for this answer.
    if (connection?.response !== response) return;
    // An answer that is larger than the bound may leave when it is the only one.
    while (this.#answerBytes > 0 && this.#answerBytes + bytes > this.#bounds.answerBytesWaitingMax) {
      if (this.#cutSlowest(1)) continue;
      this.#metrics.refused('answer_bytes');
      throw new PublicError('OVERLOADED', 'too many large answers are on their way; ask again later', {
        retryAfterSeconds: 1,
      });
    }
    this.#answerBytes += bytes;
    connection.answerBytes += bytes;
    this.#leaves(connection);
  }

  /** Calls `answer`, which ends the connection, when all that was asked on it before has been answered. */
  answerUnparsed(socket: Socket, answer: () => void): void {
    const connection = this.#connections.get(socket);
    // When the body of the request in flight is what cannot be parsed, there is nothing to wait for.
    if (connection?.response?.req.complete !== true) {
      answer();
      return;
    }
    connection.answerUnparsed ??= answer;
    socket.pause();
  }

  /**
   * Shuts down: nobody can connect any more, the next answer whose headers are still to be written is the last of its connection,
   * and says so, and where nothing is under way a request that is on its way still finds the connection open for a moment.
   * Node by itself would end idle connections at once, and the requests that are on their way with them.
   * Resolves when all connections have ended; those that have not after `shutdownGraceMs` are cut off.
   */
  async drain(): Promise<void> {
    this.#isClosing = true;
    // Of http's servers `close` does more than that.
    for (const server of this.#servers) if (server.listening) NetServer.prototype.close.call(server);
    for (const connection of this.#connections.values()) {
      if (connection.response === undefined) this.#endUnlessAsked(connection);
      else if (connection.waiting.length === 0) connection.response.shouldKeepAlive = false;
    }
    if (this.#connections.size === 0) return;
    const ended = new Promise<void>((resolve) => (this.#onLastClosed = resolve));
    const timer = setTimeout(() => {
      for (const connection of this.#connections.values()) this.#destroy(connection);
    }, shutdownGraceMs);
    await ended;
    clearTimeout(timer);
  }

  #endUnlessAsked(connection: Connection): void {
    setTimeout(() => {
      if (connection.response === undefined) connection.socket.destroy();
    }, closingGraceMs);
  }

  #open(socket: Socket): void {
    const connection = new Connection(socket, (finished) => this.#finish(finished));
    this.#connections.set(socket, connection);
    if (this.#isClosing) this.#endUnlessAsked(connection);
    socket.once('close', () => {
      if (connection.response !== undefined) this.#metrics.aborted();
      this.#close(connection);
    });
    // Node reads on by itself whenever an answer has left.
    socket.on('resume', () => {
      if (connection.waiting.length > 0 || connection.answerUnparsed !== undefined) socket.pause();
    });
  }

  #admit(request: IncomingMessage, response: ServerResponse, handle: RequestHandler): void {
    const connection = this.#connections.get(request.socket);
    // A request that was read before its connection was cut off.
    if (connection === undefined) return;
    if (connection.response === undefined) {
      this.#begin(connection, request, response, handle);
    } else if (this.#pipelined < this.#bounds.requestsPipelinedMax) {
      this.#pipelined += 1;
      connection.waiting.push({ request, response, handle });
      connection.socket.pause();
    } else {
      this.#cut(connection, 'pipelined');
    }
  }

  #begin(
    connection: Connection,
    request: IncomingMessage,
    response: ServerResponse,
    handle: RequestHandler,
  ): void {
    connection.response = response;
    connection.hasAsked = true;
    if (this.#isClosing) response.shouldKeepAlive = false;
    response.on('finish', connection.onFinish);
    if (request.method !== 'OPTIONS' && !operations.has(request.url ?? '')) {
      if (this.#inFlight.size >= this.#bounds.requestsInFlightMax && !this.#cutSlowest(0)) {
        this.#metrics.refused('requests');
        this.#metrics.request('refused', 503, 0);
        refuse(response);
        return;
      }
      connection.sinceMs = this.#clock.monotonicMs();
      this.#inFlight.add(connection);
    }
    handle(request, response);
  }

  /** The system has taken the whole answer. */
  #finish(connection: Connection): void {
    this.#giveBack(connection);
    if (connection.waiting.length === 0 && connection.answerUnparsed === undefined) {
      // Its headers were written before the shutdown began, and promised more.
      if (this.#isClosing) this.#endUnlessAsked(connection);
      return;
    }
    // That answer said `Connection: close`: what is pipelined behind it must not be taken up (RFC 9112, 9.6).
    if (!connection.socket.writable) return;
    const next = connection.waiting.shift();
    if (next !== undefined) this.#pipelined -= 1;
    // A request that is not complete by now never will be.
    if (connection.answerUnparsed !== undefined && next?.request.complete !== true) {
      connection.answerUnparsed();
      return;
    }
    if (next === undefined) return;
    this.#begin(connection, next.request, next.response, next.handle);
    if (connection.waiting.length === 0) connection.socket.resume();
  }

  #giveBack(connection: Connection): void {
    this.#inFlight.delete(connection);
    this.#answerBytes -= connection.answerBytes;
    assert(this.#answerBytes >= 0, 'no more bytes are given back than were taken');
    connection.answerBytes = 0;
    connection.isLeaving = false;
    connection.response = undefined;
  }

  /** From now on time counts against its reader: what the answer took to be made does not. */
  #leaves(connection: Connection): void {
    connection.isLeaving = true;
    if (!this.#inFlight.delete(connection)) return;
    connection.sinceMs = this.#clock.monotonicMs();
    this.#inFlight.add(connection);
  }

  #close(connection: Connection): void {
    if (!this.#connections.delete(connection.socket)) return;
    this.#giveBack(connection);
    this.#pipelined -= connection.waiting.length;
    connection.waiting.length = 0;
    if (this.#connections.size === 0) this.#onLastClosed?.();
  }

  #cut(connection: Connection, reason: 'pipelined' | 'slowest' | 'stalled'): void {
    this.#metrics.cutOff(reason);
    this.#destroy(connection);
  }

  #destroy(connection: Connection): void {
    this.#close(connection);
    connection.socket.destroy();
  }

  /**
   * Cuts off the reader that lets its answer wait longest, if that is longer than `readerGraceMs`.
   * @param answerBytesMin 1 to look only at large answers
   * @returns whether there was one
   */
  #cutSlowest(answerBytesMin: 0 | 1): boolean {
    const before = this.#clock.monotonicMs() - this.#bounds.readerGraceMs;
    for (const connection of this.#inFlight) {
      if (connection.sinceMs > before) return false;
      if (connection.answerBytes < answerBytesMin || connection.response?.writableEnded !== true) continue;
      if (!connection.isLeaving) {
        // A small answer, whose leaving was not noted before: it is noted now, and its reader has `readerGraceMs` from here.
        this.#leaves(connection);
        continue;
      }
      this.#cut(connection, 'slowest');
      return true;
    }
    return false;
  }

  /** Nothing moved on this socket for a while. */
  #timedOut(socket: Socket): void {
    const connection = this.#connections.get(socket);
    if (connection?.response === undefined) {
      // It was kept alive for a next request, which did not come. Before the first one node's own timeouts hold.
      if (connection?.hasAsked !== false) socket.destroy();
    } else if (connection.response.writableEnded) {
      this.#cut(connection, 'stalled');
    }
  }
}

const refusal = matrixErrorOf(
  new PublicError('OVERLOADED', 'too many requests are being answered; ask again later', {
    retryAfterSeconds: 1,
  }),
);
assert(refusal !== undefined, 'being overloaded is no fault');
const refusalBody = JSON.stringify(errorBody(refusal));
const refusalHeaders = {
  ...everyAnswer,
  'content-type': 'application/json',
  'retry-after': String(refusal.retryAfterSeconds),
  'content-length': String(Buffer.byteLength(refusalBody)),
};

function refuse(response: ServerResponse): void {
  response.writeHead(503, refusalHeaders);
  response.end(refusalBody);
}
