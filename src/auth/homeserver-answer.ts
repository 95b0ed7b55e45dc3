/**
 * What an answer of the homeserver means for our client: the JSON object it holds, or the Matrix error to pass on.
 *
 * Refusals (401, 403, 429) are the homeserver's word and keep its errcode, so that a soft logout or a locked account looks
 * as it would there. Everything else is trouble between the two servers: 502 when the answer is wrong, 503 when there is none.
 * Never a 401 for trouble: a client that reads M_UNKNOWN_TOKEN throws its session away.
 */
import type { Clock } from '../base/clock.js';
import { parseObject } from '../base/json-object.js';
import { nameBytesMax } from '../base/limits.js';
import { loopText } from '../base/loop-header.js';
import { MatrixError } from '../base/matrix-error.js';
import type { Asker } from './authenticator.js';
import { passedErrcodeMax, passedTextMax, retrySecondsMax } from './bounds.js';

export interface Answer {
  readonly status: number;
  /** The `Retry-After` header. */
  readonly retryAfter: string | undefined;
  readonly text: string;
}

/** `Retry-After` where the homeserver names none: long enough for a part of its restart, short enough not to be noticed. */
export const retryLaterSeconds = 5;

/** @returns the JSON object of an answer with status 200 @throws MatrixError for every other answer */
export function objectOf(endpoint: string, answer: Answer, clock: Clock): Record<string, unknown> {
  const { status, text } = answer;
  const body = parseObject(text);
  const retryAfterSeconds = secondsOf(answer, body, clock);
  if (status === 200) {
    if (body !== undefined) return body;
    throw wrongAnswer(`the homeserver answered ${endpoint} with something that is not a JSON object`);
  }
  if (status === 401 || status === 403) {
    throw (
      refusal(status, body) ??
      wrongAnswer(
        `something in front of the homeserver answered ${status} to ${endpoint}; check homeserver.url`,
      )
    );
  }
  if (status === 429) {
    const message = 'the homeserver limits the rate of requests: wait for Retry-After, then ask again';
    throw new MatrixError(429, 'M_LIMIT_EXCEEDED', message, { retryAfterSeconds: retryAfterSeconds ?? 1 });
  }
  if (status === 508) throw wrongAnswer(loopText);
  if (status >= 500) {
    // A front proxy says these for a homeserver that is down, restarting or slow.
    const away = status === 502 || status === 503 || status === 504;
    throw new MatrixError(
      away ? 503 : 502,
      'M_UNKNOWN',
      `the homeserver answered ${status} to ${endpoint}; try again later`,
      {
        retryAfterSeconds: retryAfterSeconds ?? retryLaterSeconds,
      },
    );
  }
  throw wrongAnswer(`the homeserver answered ${status} to ${endpoint}; homeserver.url should be checked`);
}

/** @throws MatrixError when it names no user */
export function askerOf(body: Record<string, unknown>): Asker {
  const { user_id: userId, is_guest: isGuest } = body;
  if (typeof userId !== 'string' || !userId.startsWith('@') || Buffer.byteLength(userId) > nameBytesMax) {
    throw wrongAnswer('the homeserver answered whoami without a user ID');
  }
  return { userId, isGuest: isGuest === true };
}

function wrongAnswer(message: string): MatrixError {
  return new MatrixError(502, 'M_UNKNOWN', message);
}

/** @returns undefined when the body is no Matrix error, but a front proxy's page */
function refusal(status: 401 | 403, body: Record<string, unknown> | undefined): MatrixError | undefined {
  const { errcode, error, soft_logout: softLogout } = body ?? {};
  if (typeof errcode !== 'string' || errcode === '' || errcode.length > passedErrcodeMax) return undefined;
  const passed = typeof error === 'string' && error.length <= passedTextMax;
  const text = passed ? error : 'the homeserver refuses this access token';
  return new MatrixError(status, errcode, text, typeof softLogout === 'boolean' ? { softLogout } : {});
}

/** When to come back: `Retry-After` in either of its forms, else `retry_after_ms`. */
function secondsOf(
  answer: Answer,
  body: Record<string, unknown> | undefined,
  clock: Clock,
): number | undefined {
  const { retryAfter } = answer;
  if (retryAfter !== undefined) {
    if (/^\d+$/.test(retryAfter)) return bounded(Number(retryAfter));
    const dateMs = Date.parse(retryAfter);
    if (!Number.isNaN(dateMs)) return bounded((dateMs - clock.nowMs()) / 1000);
  }
  const ms = body?.retry_after_ms;
  return typeof ms === 'number' ? bounded(ms / 1000) : undefined;
}

/** Whole seconds, at least one: with 0 the client would come back before anything has changed. */
function bounded(seconds: number): number {
  return Math.min(Math.max(Math.ceil(seconds), 1), retrySecondsMax);
}
