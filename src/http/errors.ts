/**
 * Turns every fault into a Matrix error: status, errcode, a text that helps, and Retry-After where waiting helps.
 * Source: Client-Server API, "Standard error response".
 */
import type { FastifyReply } from 'fastify';
import { PublicError, type PublicErrorCode } from '../base/errors.js';
import { MatrixError } from '../base/matrix-error.js';
import { sendJson } from './json.js';

const ofPublicError: Record<PublicErrorCode, readonly [status: number, errcode: string]> = {
  INVALID: [400, 'M_INVALID_PARAM'],
  INVALID_TOKEN: [400, 'M_INVALID_PARAM'],
  OVERLOADED: [503, 'M_UNKNOWN'],
  UNAVAILABLE: [503, 'M_UNKNOWN'],
  FULL: [507, 'M_UNKNOWN'],
  DAMAGED: [503, 'M_UNKNOWN'],
};

/** The client went away before its request was whole: nobody's fault, and nobody is left to answer. */
export class RequestAborted extends MatrixError {
  override name = 'RequestAborted';

  constructor(options: { readonly cause: unknown }) {
    super(400, 'M_UNKNOWN', 'the body broke off: send it again', options);
  }
}

/** @returns the error to answer with; undefined when it is a fault of ours, to be logged and answered 500 */
export function matrixErrorOf(error: unknown): MatrixError | undefined {
  if (error instanceof MatrixError) return error;
  if (error instanceof PublicError) {
    const [status, errcode] = ofPublicError[error.code];
    const retryAfterSeconds = error.retryAfterSeconds ?? (status === 503 ? 1 : undefined);
    return new MatrixError(
      status,
      errcode,
      error.message,
      retryAfterSeconds === undefined ? {} : { retryAfterSeconds },
    );
  }
  // What fastify itself refuses: a body too large, a media type that it has no parser for, a path that does not decode.
  const status = (error as { statusCode?: unknown }).statusCode;
  if (error instanceof Error && typeof status === 'number' && status >= 400 && status < 500) {
    // Fastify's own texts of these repeat the path, and with it whatever the query string holds.
    if (status === 414) return new MatrixError(400, 'M_INVALID_PARAM', 'the user ID in the path is too long');
    if (status === 400) return new MatrixError(400, 'M_UNKNOWN', 'the path or the headers cannot be read');
    return new MatrixError(status, status === 413 ? 'M_TOO_LARGE' : 'M_UNKNOWN', error.message);
  }
  return undefined;
}

export function errorBody(error: MatrixError): Record<string, unknown> {
  const body: Record<string, unknown> = { errcode: error.errcode, error: error.message };
  if (error.softLogout !== undefined) body.soft_logout = error.softLogout;
  if (error.status === 429 && error.retryAfterSeconds !== undefined) {
    body.retry_after_ms = Math.ceil(error.retryAfterSeconds * 1000);
  }
  return body;
}

export function sendError(reply: FastifyReply, error: MatrixError): FastifyReply {
  return sendJson(setRetryAfter(reply.code(error.status), error), errorBody(error));
}

/** Sets `Retry-After`, if the error says how long to wait. */
export function setRetryAfter(reply: FastifyReply, { retryAfterSeconds }: MatrixError): FastifyReply {
  if (retryAfterSeconds === undefined) return reply;
  return reply.header('retry-after', String(Math.max(1, Math.ceil(retryAfterSeconds))));
}

export function unrecognized(status: 404 | 405, message: string): MatrixError {
  return new MatrixError(status, 'M_UNRECOGNIZED', message);
}
