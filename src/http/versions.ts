/**
 * GET /_matrix/client/versions: the homeserver's own answer, with the flags that clients look for before they ask for
 * mutual rooms. When the homeserver does not answer, this is an error: half an answer would switch features off.
 *
 * All four flags are true because all four spellings are served (http/mutual-rooms.ts). `v1.19` is added only when the
 * configuration says so, or when there is no homeserver: it promises the rest of that version too, and every known client is content with a flag.
 */
import type { FastifyInstance } from 'fastify';
import type { Credentials } from '../auth/authenticator.js';
import { isObject } from '../base/json-object.js';
import { loopHeader, loopText } from '../base/loop-header.js';
import { MatrixError } from '../base/matrix-error.js';
import { credentialsOf, findAccessToken } from './access-token.js';
import { sendJson } from './json.js';

const flags = {
  'uk.half-shot.msc2666': true,
  'uk.half-shot.msc2666.mutual_rooms': true,
  'uk.half-shot.msc2666.query_mutual_rooms': true,
  'uk.half-shot.msc2666.query_mutual_rooms.stable': true,
};

const specVersion = 'v1.19';

export interface VersionsDeps {
  /** Asks the homeserver, with the client's token if it sent one; undefined when no homeserver is configured. */
  readonly askHomeserver:
    ((credentials: Credentials | undefined) => Promise<Record<string, unknown>>) | undefined;
  readonly advertiseV119: boolean;
}

export function addVersions(app: FastifyInstance, { askHomeserver, advertiseV119 }: VersionsDeps): void {
  app.get('/_matrix/client/versions', { config: { endpoint: 'versions' } }, async (request, reply) => {
    if (request.headers[loopHeader] !== undefined) throw new MatrixError(508, 'M_UNKNOWN', loopText);
    const token = findAccessToken(request);
    const theirs =
      askHomeserver === undefined
        ? { versions: [specVersion] }
        : await ask(askHomeserver, token === undefined ? undefined : credentialsOf(request, token));
    return sendJson(reply, merge(theirs, advertiseV119));
  });
}

/** Asks again without the token when the homeserver refuses it: versions need none, and a 401 would end the client's session. */
async function ask(
  askHomeserver: NonNullable<VersionsDeps['askHomeserver']>,
  credentials: Credentials | undefined,
): Promise<Record<string, unknown>> {
  try {
    return await askHomeserver(credentials);
  } catch (error) {
    const refused = error instanceof MatrixError && (error.status === 401 || error.status === 403);
    if (credentials === undefined || !refused) throw error;
    return askHomeserver(undefined);
  }
}

function merge(theirs: Record<string, unknown>, advertiseV119: boolean): Record<string, unknown> {
  const { versions, unstable_features: features } = theirs;
  if (!Array.isArray(versions) || versions.some((version) => typeof version !== 'string')) {
    throw new MatrixError(502, 'M_UNKNOWN', 'the homeserver answered versions without a list of versions');
  }
  const known = versions as string[];
  return {
    ...theirs,
    versions: advertiseV119 && !known.includes(specVersion) ? [...known, specVersion] : known,
    unstable_features: {
      ...(isObject(features) ? features : undefined),
      ...flags,
    },
  };
}
