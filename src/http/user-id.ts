/**
 * Which user IDs may be asked about: those that are compliant with the grammar of the specification (appendices, "User
 * Identifiers"), historical ones included: a localpart of U+0021 to U+007E without `:`, not empty.
 * Memberships are not checked like this, since rooms hold older IDs (base/change.ts).
 */
import { isIPv6 } from 'node:net';
import { MatrixError } from '../base/matrix-error.js';
import { userIdBytesMax } from './bounds.js';

const shape = /^@[!-9;-~]+:(?:\[([0-9A-Fa-f:.]{2,45})\]|[0-9A-Za-z.-]{1,255})(?::[0-9]{1,5})?$/;

/** @throws MatrixError 400 M_INVALID_PARAM that says what is wrong */
export function checkUserId(userId: string): void {
  if (Buffer.byteLength(userId) > userIdBytesMax) {
    throw new MatrixError(400, 'M_INVALID_PARAM', `user_id is longer than ${userIdBytesMax} bytes`);
  }
  const match = shape.exec(userId);
  if (match === null || isBadIPv6(match[1])) {
    throw new MatrixError(
      400,
      'M_INVALID_PARAM',
      'user_id is not a user ID: expected @localpart:server.name',
    );
  }
}

/** @param address what stood in brackets; undefined when the server name is no IPv6 literal */
function isBadIPv6(address: string | undefined): boolean {
  return address !== undefined && !isIPv6(address);
}
