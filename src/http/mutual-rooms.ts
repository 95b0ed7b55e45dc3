/**
 * The endpoint: which rooms do I share with this user? In every spelling that a client in use sends.
 *
 *   stable        GET /_matrix/client/v1/mutual_rooms?user_id&from|batch_token           joined, count, next_batch
 *                 GET /_matrix/client/unstable/mutual_rooms?user_id&from|batch_token     the same
 *   unstable      GET .../uk.half-shot.msc2666/user/mutual_rooms?user_id&from|batch_token
 *                                                      joined, count, next_batch, next_batch_token
 *   by path       GET .../uk.half-shot.msc2666/user/{mutual_rooms,shared_rooms}/{userId}
 *                                                      joined, count; all rooms up to `roomsPerPageMax`, no pages, so no token is looked at
 *
 * Checks come in this order: is there an index (503), who asks (401, 403), how often (429), what for (400). So a stranger learns nothing.
 * Invariant I8: who asks is what the authenticator says, never what the request says.
 */
import type { FastifyInstance, FastifyRequest } from 'fastify';
import type { Authenticator } from '../auth/authenticator.js';
import { MatrixError } from '../base/matrix-error.js';
import { roomsPerPageMax } from '../base/limits.js';
import { accessTokenOf, credentialsOf } from './access-token.js';
import { sendJsonBytes } from './json.js';
import type { RateLimit } from './rate-limit.js';
import type { Backend } from './backend.js';
import { checkUserId } from './user-id.js';

const unstablePrefix = '/_matrix/client/unstable/uk.half-shot.msc2666/user';

/** The same for all spellings: a token from one of them opens in the others. */
const tokenPurpose = 'mutual_rooms';

export interface MutualRoomsDeps {
  readonly service: Backend;
  readonly authenticator: Authenticator;
  /** Undefined: no limit. */
  readonly rateLimit: RateLimit | undefined;
  /** Rooms in a page, 1 to `roomsPerPageMax`. */
  readonly pageSize: number;
}

type Query = Record<string, string | string[] | undefined>;

/** The query parameters that carry a page token: that of the specification, and that of MSC2666 before. */
const tokenParams = ['from', 'batch_token'];

/**
 * Names under which a page token is sent by mistake: that of /sync, and those it has in answers. It would be passed over like any
 * other parameter, and who looks for the next page would get the first one for ever.
 */
const noTokenParams = ['since', 'next_batch', 'next_batch_token'];

/** The keys of the answer that give the next page token. */
const stableKeys = ['next_batch'];
const unstableKeys = ['next_batch', 'next_batch_token'];

export function addMutualRooms(app: FastifyInstance, deps: MutualRoomsDeps): void {
  const byQuery = (url: string, nextKeys: readonly string[]): void => {
    app.get<{ Querystring: Query }>(url, { config: { endpoint: 'mutual_rooms' } }, async (request, reply) => {
      const { engine, tokens } = deps.service.get();
      const self = await whoAsks(deps, request);
      const other = theOther(request.query, self);
      const from = pageToken(request.query);
      const binding = { purpose: tokenPurpose, userId: self, otherId: other };
      const start = from === undefined ? 0 : tokens.open(from, binding);
      const page = await engine.answerer.mutualPage([self, other], start, deps.pageSize);
      const next = page.nextStart === undefined ? undefined : tokens.seal(page.nextStart, binding);
      return sendJsonBytes(reply, answer(page.json, page.count, next, nextKeys));
    });
  };
  byQuery('/_matrix/client/v1/mutual_rooms', stableKeys);
  byQuery('/_matrix/client/unstable/mutual_rooms', stableKeys);
  byQuery(`${unstablePrefix}/mutual_rooms`, unstableKeys);

  for (const name of ['mutual_rooms', 'shared_rooms']) {
    const url = `${unstablePrefix}/${name}/:userId`;
    app.get<{ Params: { userId: string } }>(
      url,
      { config: { endpoint: 'mutual_rooms_by_path' } },
      async (request, reply) => {
        const { engine } = deps.service.get();
        const self = await whoAsks(deps, request);
        const other = request.params.userId;
        checkOther(other, self);
        const page = await engine.answerer.mutualPage([self, other], 0, roomsPerPageMax);
        return sendJsonBytes(reply, answer(page.json, page.count, undefined, []));
      },
    );
  }
}

async function whoAsks(
  { authenticator, rateLimit }: MutualRoomsDeps,
  request: FastifyRequest,
): Promise<string> {
  const { userId, isGuest } = await authenticator.whoAsks(credentialsOf(request, accessTokenOf(request)));
  if (isGuest) throw new MatrixError(403, 'M_GUEST_ACCESS_FORBIDDEN', 'guests cannot ask for mutual rooms');
  const waitMs = rateLimit === undefined ? 0 : rateLimit.take(userId);
  if (waitMs > 0) {
    throw new MatrixError(
      429,
      'M_LIMIT_EXCEEDED',
      'too many requests: wait for Retry-After, then ask again',
      {
        retryAfterSeconds: waitMs / 1000,
      },
    );
  }
  return userId;
}

function theOther(query: Query, self: string): string {
  const { user_id: other } = query;
  if (other === undefined)
    throw new MatrixError(400, 'M_MISSING_PARAM', 'the query parameter user_id is missing');
  if (typeof other !== 'string') {
    throw new MatrixError(
      400,
      'M_INVALID_PARAM',
      'user_id is given more than once: ask for one user at a time',
    );
  }
  checkOther(other, self);
  return other;
}

function checkOther(other: string, self: string): void {
  checkUserId(other);
  if (other === self) {
    throw new MatrixError(
      400,
      'M_INVALID_PARAM',
      'user_id is your own: ask for the rooms you share with another user',
    );
  }
}

/** An empty token counts as none: clients send `from=` for the first page. */
function pageToken(query: Query): string | undefined {
  for (const param of noTokenParams) {
    if (query[param] === undefined || query[param] === '') continue;
    throw new MatrixError(
      400,
      'M_INVALID_PARAM',
      `${param} is no parameter here: send the page token as from`,
    );
  }
  let token: string | undefined;
  for (const param of tokenParams) {
    const value = query[param];
    if (value === undefined || value === '') continue;
    if (typeof value !== 'string' || (token !== undefined && token !== value)) {
      throw new MatrixError(400, 'M_INVALID_PARAM', `${tokenParams.join(' or ')} is given more than once`);
    }
    token = value;
  }
  return token;
}

/**
 * Puts the answer together from bytes that are JSON already: serialising a hundred strings costs as much as the rest of the
 * request. @returns one character for each byte
 */
function answer(
  json: Uint8Array,
  count: number,
  next: string | undefined,
  nextKeys: readonly string[],
): string {
  const rooms = Buffer.from(json.buffer, json.byteOffset, json.length).toString('latin1');
  let nextFields = '';
  if (next !== undefined) for (const key of nextKeys) nextFields += `,"${key}":"${next}"`;
  return `{"joined":[${rooms}],"count":${count}${nextFields}}`;
}
