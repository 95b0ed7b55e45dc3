/**
 * Sends batches of NDJSON to a running server, again when that may help: applying a line twice equals applying it once,
 * so a batch whose answer was lost is simply sent again.
 *
 * Invariant: one batch is under way at a time, because later lines of the same user and room must win. Cost: bounded;
 * `attemptsMax` tries of a batch, with waits that double up to `waitMsMax`.
 */
import { messageOf } from '../base/errors.js';
import { parseObject } from '../base/json-object.js';
import { CommandError } from './command-error.js';
import type { Terminal } from './terminal.js';

const attemptsMax = 8;
const firstWaitMs = 250;
const waitMsMax = 30_000;
const answerTimeoutMs = 120_000;

export interface BatchAnswer {
  readonly applied: number;
  readonly ignored: number;
  /** The first of them only; `line` counts within the batch, from 1. */
  readonly rejected: readonly { readonly line: number; readonly error: string }[];
  readonly rejectedCount: number;
}

export interface MembershipsClientOptions {
  /** Base URL of the server. */
  readonly url: string;
  readonly serviceToken: string;
  readonly terminal: Pick<Terminal, 'clock' | 'sleepMs'>;
}

export class MembershipsClient {
  readonly #options: MembershipsClientOptions;
  readonly #endpoint: string;
  /** Once the server has answered, a refused connection is a restart rather than a wrong address. */
  #answered = false;

  constructor(options: MembershipsClientOptions) {
    this.#options = options;
    this.#endpoint = `${options.url}/_mutual_rooms/v1/memberships`;
  }

  /** @throws CommandError when trying again would not help, or did not */
  async send(batch: Buffer): Promise<BatchAnswer> {
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(batch);
      if ('answer' in outcome) return outcome.answer;
      if (attempt === attemptsMax) {
        throw new CommandError(
          `${outcome.problem}; gave up after ${attemptsMax} tries. Run the import again: applying a line twice does no harm`,
        );
      }
      const backOffMs = firstWaitMs * 2 ** (attempt - 1);
      await this.#options.terminal.sleepMs(Math.min(waitMsMax, Math.max(backOffMs, outcome.retryAfterMs)));
    }
  }

  async #attempt(
    batch: Buffer,
  ): Promise<{ answer: BatchAnswer } | { problem: string; retryAfterMs: number }> {
    let response: Response;
    let text: string;
    try {
      response = await fetch(this.#endpoint, {
        method: 'POST',
        headers: {
          authorization: `Bearer ${this.#options.serviceToken}`,
          'content-type': 'application/x-ndjson',
        },
        body: batch,
        // The token is for this server alone.
        redirect: 'manual',
        signal: AbortSignal.timeout(answerTimeoutMs),
      });
      text = await response.text();
    } catch (error) {
      return { problem: this.#connectionProblem(error), retryAfterMs: 0 };
    }
    this.#answered = true;
    if (response.status === 200) return { answer: answerOf(text, this.#endpoint) };
    const { status } = response;
    const said = errorTextOf(text);
    if (status === 429 || status === 502 || status === 503 || status === 504) {
      return {
        problem: `${this.#endpoint} answered ${status}${said}`,
        retryAfterMs: this.#retryAfterMs(response),
      };
    }
    throw new CommandError(`${this.#endpoint} answered ${status}: ${refusalOf(status)}${said}`);
  }

  #connectionProblem(error: unknown): string {
    // fetch hides the reason in `cause`, and with several addresses in the errors of that.
    const cause = error instanceof Error && error.cause !== undefined ? error.cause : error;
    const reason = cause instanceof AggregateError ? (cause.errors[0] as unknown) : cause;
    const { code } = reason as NodeJS.ErrnoException;
    const problem = `no answer from ${this.#endpoint} (${code ?? messageOf(reason)})`;
    if (this.#answered || (code !== 'ECONNREFUSED' && code !== 'ENOTFOUND')) return problem;
    throw new CommandError(
      `no server answers at ${this.#options.url} (${code}): start it with "mutual-rooms serve", or name another one with --url`,
      { cause: error },
    );
  }

  #retryAfterMs(response: Response): number {
    const text = response.headers.get('retry-after');
    if (text === null) return 0;
    if (/^\d+$/.test(text)) return Number(text) * 1000;
    const atMs = Date.parse(text);
    return Number.isNaN(atMs) ? 0 : Math.max(0, atMs - this.#options.terminal.clock.nowMs());
  }
}

function refusalOf(status: number): string {
  switch (status) {
    case 403:
      return 'it takes memberships from nobody';
    case 401:
      return 'the service token is wrong; give the one of the server in service_token or MUTUAL_ROOMS_SERVICE_TOKEN';
    case 404:
      return 'the import API is off, or this is another server; set service_token in the configuration of the server';
    case 413:
      return 'a batch of 1 MiB is too large; raise import.body_bytes_max, or the bound of the proxy in between';
    default:
      return status >= 300 && status < 400
        ? 'this is a redirect, and the token is not sent elsewhere; give the final address with --url'
        : 'the import cannot go on';
  }
}

/** The answer's own words, when it has the form of a Matrix error. */
function errorTextOf(text: string): string {
  const { error } = parseObject(text) ?? {};
  return typeof error === 'string' ? ` ("${error.slice(0, 300)}")` : '';
}

function answerOf(text: string, endpoint: string): BatchAnswer {
  const { applied, ignored, rejected, rejected_count: rejectedCount } = parseObject(text) ?? {};
  const whole =
    typeof applied === 'number' && typeof ignored === 'number' && typeof rejectedCount === 'number';
  if (!whole || !Array.isArray(rejected)) {
    throw new CommandError(`${endpoint} is not mutual-rooms: its answer is something else; correct --url`);
  }
  return { applied, ignored, rejectedCount, rejected: rejected as BatchAnswer['rejected'] };
}
