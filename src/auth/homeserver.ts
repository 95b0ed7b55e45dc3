/**
 * The homeserver as we ask it: whose access token is this (`whoami`), and what does it support (`versions`).
 *
 * Of the client's request only headers are passed on, never the query string. Its `user_id` would ask the homeserver to let an
 * application service act as that user. Everything is bounded: connections, calls, time, length of an answer.
 * What an answer means is in homeserver-answer.ts. Nothing is remembered here; cached-authenticator.ts does that.
 */
import { Pool } from 'undici';
import { systemClock, type Clock } from '../base/clock.js';
import { loopHeader } from '../base/loop-header.js';
import { MatrixError } from '../base/matrix-error.js';
import type { Asker, Credentials } from './authenticator.js';
import { answerBytesMax, callsInFlightMax, callTimeoutMs, connectionsMax } from './bounds.js';
import { askerOf, objectOf, retryLaterSeconds, type Answer } from './homeserver-answer.js';

export interface HomeserverOptions {
  /** In place of `callTimeoutMs`; connecting, headers and body are held to it singly too. */
  readonly timeoutMs?: number;
  /** In place of the bound of this name. */
  readonly callsInFlightMax?: number;
  readonly clock?: Clock;
}

/** What fits in a header line as it is, without a space: after one the homeserver would read another token than was hashed here. */
const tokenShape = /^[\x21-\x7e\x80-\xff]+$/;
const headerShape = /^[\t\x20-\x7e\x80-\xff]+$/;

/** A kept-alive connection that the homeserver closed just as we used it again. */
const closedUnderUs = new Set(['UND_ERR_SOCKET', 'ECONNRESET', 'EPIPE']);

export class Homeserver {
  readonly #pool: Pool;
  readonly #pathPrefix: string;
  readonly #timeoutMs: number;
  readonly #callsInFlightMax: number;
  readonly #clock: Clock;
  #callsInFlight = 0;
  #closed: Promise<void> | undefined;

  /** @param url base URL, perhaps with a path that goes before /_matrix */
  constructor(url: string, options: HomeserverOptions = {}) {
    const { origin, pathname } = new URL(url);
    this.#pathPrefix = pathname.replace(/\/+$/, '');
    const { timeoutMs = callTimeoutMs } = options;
    this.#timeoutMs = timeoutMs;
    this.#callsInFlightMax = options.callsInFlightMax ?? callsInFlightMax;
    this.#clock = options.clock ?? systemClock;
    this.#pool = new Pool(origin, {
      connections: connectionsMax,
      connect: { timeout: timeoutMs },
      headersTimeout: timeoutMs,
      bodyTimeout: timeoutMs,
      maxResponseSize: answerBytesMax,
    });
  }

  /** @throws MatrixError */
  async whoami(credentials: Credentials): Promise<Asker> {
    return askerOf(await this.#get('whoami', '/_matrix/client/v3/account/whoami', credentials));
  }

  /** @param credentials some homeservers tell known users of more features @throws MatrixError */
  async versions(credentials: Credentials | undefined): Promise<Record<string, unknown>> {
    return this.#get('versions', '/_matrix/client/versions', credentials);
  }

  /** Lets calls under way end, which takes no longer than their timeout. May be called again. */
  close(): Promise<void> {
    this.#closed ??= this.#pool.close();
    return this.#closed;
  }

  async #get(
    endpoint: string,
    path: string,
    credentials: Credentials | undefined,
  ): Promise<Record<string, unknown>> {
    const headers = headersOf(credentials);
    if (this.#callsInFlight >= this.#callsInFlightMax) {
      throw new MatrixError(
        503,
        'M_UNKNOWN',
        'too many calls to the homeserver are under way; try again later',
        {
          retryAfterSeconds: 1,
        },
      );
    }
    let answer: Answer;
    this.#callsInFlight += 1;
    try {
      answer = await this.#answer(this.#pathPrefix + path, headers);
    } catch (error) {
      throw noAnswer(error);
    } finally {
      this.#callsInFlight -= 1;
    }
    return objectOf(endpoint, answer, this.#clock);
  }

  async #answer(path: string, headers: Record<string, string>): Promise<Answer> {
    // The pool's timeouts start with a connection and start anew with every chunk; this one holds for all of it.
    // `AbortSignal.timeout` would outlive the call, and hold it, until the time is up: 30,000 of them in a flood of tokens.
    const controller = new AbortController();
    const timer = setTimeout(() => controller.abort(timedOut()), this.#timeoutMs);
    const request = { method: 'GET', path, headers, signal: controller.signal } as const;
    try {
      const response = await this.#pool.request(request).catch((error: unknown) => {
        if (!closedUnderUs.has(codeOf(error))) throw error;
        return this.#pool.request(request);
      });
      const retryAfter = response.headers['retry-after'];
      return {
        status: response.statusCode,
        retryAfter: Array.isArray(retryAfter) ? retryAfter[0] : retryAfter,
        text: await response.body.text(),
      };
    } finally {
      clearTimeout(timer);
    }
  }
}

function timedOut(): Error {
  return new DOMException('the homeserver took too long', 'TimeoutError');
}

/** @throws MatrixError 401 for a token that no homeserver can have given out */
function headersOf(credentials: Credentials | undefined): Record<string, string> {
  const headers: Record<string, string> = { accept: 'application/json', [loopHeader]: '1' };
  if (credentials === undefined) return headers;
  const { accessToken, userAgent, forwardedFor } = credentials;
  if (!tokenShape.test(accessToken)) {
    throw new MatrixError(401, 'M_UNKNOWN_TOKEN', 'the access token holds characters that no token has');
  }
  headers.authorization = `Bearer ${accessToken}`;
  // Both only inform the homeserver, so one that does not fit in a header is left out.
  if (userAgent !== undefined && headerShape.test(userAgent)) headers['user-agent'] = userAgent;
  if (forwardedFor !== undefined && headerShape.test(forwardedFor)) headers['x-forwarded-for'] = forwardedFor;
  return headers;
}

function noAnswer(error: unknown): unknown {
  const code = codeOf(error);
  // Our own fault, not the homeserver's: a 500 and a log line, rather than a 503 for ever.
  if (code === 'UND_ERR_INVALID_ARG') return error;
  return new MatrixError(503, 'M_UNKNOWN', `the homeserver gave no answer (${code}); try again later`, {
    retryAfterSeconds: retryLaterSeconds,
    cause: error,
  });
}

/** Such as ECONNREFUSED. The message of an error is not for clients: it may hold addresses of the inner network. */
function codeOf(error: unknown): string {
  if (!(error instanceof Error)) return 'unknown';
  const { code } = error as { code?: unknown };
  return typeof code === 'string' ? code : error.name;
}
