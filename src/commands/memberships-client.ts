/**
 * Sends batches of NDJSON to a running server, again when that may help: applying a line twice equals applying it once,
 * so a batch whose answer was lost is simply sent again.
 *
 * Invariant: one batch is under way at a time, because later lines of the same user and room must win. Cost: bounded; a batch
 * is tried for `absentMsMax` where no server has ever answered, else for `busyMsMax`, with waits that double.
 */
import { messageOf } from '../base/errors.js';
import { parseObject } from '../base/json-object.js';
import { CommandError } from './command-error.js';
import type { Terminal } from './terminal.js';

/** A server that was started a moment ago listens by then; a wrong address never will. */
const absentMsMax = 30_000;

/** One that is busy, is being restarted, or loads a large store. */
const busyMsMax = 10 * 60_000;

const firstWaitMs = 250;
/** Unless the server asks for more, and then: */
const waitMsMax = 5_000;
const askedWaitMsMax = 30_000;
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
  /** Told once a batch why it waits, and for how long at most. */
  readonly onWait: (text: string) => void;
}

export class MembershipsClient {
  readonly #options: MembershipsClientOptions;
  readonly #endpoint: string;
  /** Until a server has answered, the address may be wrong. */
  #answered = false;

  constructor(options: MembershipsClientOptions) {
    this.#options = options;
    this.#endpoint = `${options.url}/_mutual_rooms/v1/memberships`;
  }

  /** @throws CommandError when trying again would not help, or did not */
  async send(batch: Buffer): Promise<BatchAnswer> {
    const { terminal, onWait } = this.#options;
    const startedAtMs = terminal.clock.monotonicMs();
    let waitMs = firstWaitMs;
    for (let attempt = 1; ; attempt++) {
      const outcome = await this.#attempt(batch);
      if ('answer' in outcome) return outcome.answer;
      const { problem, retryAfterMs } = outcome;
      const triedMsMax = this.#answered ? busyMsMax : absentMsMax;
      const nextWaitMs = Math.max(waitMs, Math.min(askedWaitMsMax, retryAfterMs));
      if (terminal.clock.monotonicMs() - startedAtMs + nextWaitMs > triedMsMax) throw this.#givenUp(problem);
      if (attempt === 1) onWait(`${problem}: trying again for up to ${triedMsMax / 1000} s\n`);
      await terminal.sleepMs(nextWaitMs);
      waitMs = Math.min(waitMsMax, waitMs * 2);
    }
  }

  #givenUp(problem: string): CommandError {
    return new CommandError(
      this.#answered
        ? `${problem}; gave up after ${busyMsMax / 1000} s. Run the import again: applying a line twice does no harm`
        : `${problem}, for ${absentMsMax / 1000} s: start the server with "mutual-rooms serve", or name another one with --url`,
    );
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
    return `no server answers at ${this.#options.url} (${code ?? messageOf(reason)})`;
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
