/**
 * How much the HTTP server has under way at once, and what becomes of the rest (bounds: base/limits.ts).
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
import type { Socket } from 'node:net';
import { assert } from '../base/assert.js';
import type { Clock } from '../base/clock.js';
import { PublicError } from '../base/errors.js';
import {
  answerBytesWaitingMax,
  answerStalledMs,
  connectionsMax,
  readerGraceMs,
  requestsInFlightMax,
  requestsPipelinedMax,
  smallAnswerBytesMax,
} from '../base/limits.js';
import type { Metrics } from '../metrics/metrics.js';
import { errorBody, matrixErrorOf } from './errors.js';
import { corsHeaders } from './json.js';

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

/** What must be answered when nothing else is. */
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
  /** When that request was taken up, or, if `isLeaving`, when its answer was first seen to leave. */
  sinceMs = 0;
  isLeaving = false;
  /** Of that answer, when it is a large one. */
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
  #isClosing = false;

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

  /** Stands between the server, before it listens, and what handles its requests. */
  guard(server: Server, handle: RequestHandler): void {
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
    // Nobody waits for it any more.
    if (connection?.response !== response) return;
    // One that is larger than the bound may go when it is the only one.
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

  /** Ends connections on which nothing was asked yet, as browsers open them in advance, and from now on any new one. */
  endSilent(): void {
    this.#isClosing = true;
    for (const { socket, hasAsked } of this.#connections.values()) if (!hasAsked) socket.destroy();
  }

  #open(socket: Socket): void {
    if (this.#isClosing) {
      socket.destroy();
      return;
    }
    const connection = new Connection(socket, (finished) => this.#finish(finished));
    this.#connections.set(socket, connection);
    socket.once('close', () => this.#close(connection));
    // Node reads on by itself whenever an answer has left.
    socket.on('resume', () => {
      if (connection.waiting.length > 0 || connection.answerUnparsed !== undefined) socket.pause();
    });
  }

  #admit(request: IncomingMessage, response: ServerResponse, handle: RequestHandler): void {
    const connection = this.#connections.get(request.socket);
    // What is left of a read after its connection was cut off.
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
    if (connection.waiting.length === 0 && connection.answerUnparsed === undefined) return;
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
  }

  #cut(connection: Connection, reason: 'pipelined' | 'slowest' | 'stalled'): void {
    this.#metrics.cutOff(reason);
    this.#close(connection);
    connection.socket.destroy();
  }

  /**
   * Cuts off whoever lets its answer wait the longest, and longer than `readerGraceMs`.
   * @param answerBytesMin 1 to look only at large answers
   * @returns whether there was one
   */
  #cutSlowest(answerBytesMin: 0 | 1): boolean {
    const before = this.#clock.monotonicMs() - this.#bounds.readerGraceMs;
    for (const connection of this.#inFlight) {
      if (connection.sinceMs > before) return false;
      if (connection.answerBytes < answerBytesMin || connection.response?.writableEnded !== true) continue;
      if (!connection.isLeaving) {
        // A small answer: nobody looked before. It is the last one now, and may come up once more.
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
      // Kept alive for a next request that did not come. Before the first one, node's own timeouts hold.
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
  ...corsHeaders,
  'content-type': 'application/json',
  'retry-after': String(refusal.retryAfterSeconds),
  'content-length': String(Buffer.byteLength(refusalBody)),
};

function refuse(response: ServerResponse): void {
  response.writeHead(503, refusalHeaders);
  response.end(refusalBody);
}
