/**
 * The access token of a request: from the Authorization header, or from the query string, which v1.19 still demands.
 * Tokens are never logged, and the query string is never passed on.
 */
import type { FastifyRequest } from 'fastify';
import type { Credentials } from '../auth/authenticator.js';
import { MatrixError } from '../base/matrix-error.js';

const bearer = /^Bearer +(\S(?:.*\S)?) *$/i;

/** @returns undefined when the request has none */
export function findAccessToken(request: FastifyRequest): string | undefined {
  if (request.headers.authorization !== undefined) return findBearerToken(request);
  const token = (request.query as Record<string, unknown>).access_token;
  return typeof token === 'string' && token !== '' ? token : undefined;
}

/** The same from the header alone, for a secret that must not be in a query string: proxies log those. */
export function findBearerToken(request: FastifyRequest): string | undefined {
  const { authorization } = request.headers;
  return authorization === undefined ? undefined : bearer.exec(authorization)?.[1];
}

/** @throws MatrixError 401 M_MISSING_TOKEN */
export function accessTokenOf(request: FastifyRequest): string {
  const token = findAccessToken(request);
  if (token === undefined) {
    throw new MatrixError(
      401,
      'M_MISSING_TOKEN',
      'send your access token as "Authorization: Bearer <token>"',
    );
  }
  return token;
}

/** What the homeserver is told of the client, so that its records of when and where a session was seen stay right. */
export function credentialsOf(request: FastifyRequest, accessToken: string): Credentials {
  const before = request.headers['x-forwarded-for'];
  const peer = request.socket.remoteAddress;
  return {
    accessToken,
    userAgent: request.headers['user-agent'],
    forwardedFor: typeof before === 'string' ? `${before}, ${peer}` : peer,
  };
}
