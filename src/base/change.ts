/**
 * A change, as every source yields it: whether a user is joined to a room from now on.
 *
 * Only `join` counts as joined; any other membership takes the user out of the room. A change says what holds, not what to
 * do, so applying it twice equals applying it once.
 */
import { nameBytesMax } from './limits.js';
import { PublicError } from './errors.js';

export interface Change {
  readonly userId: string;
  readonly roomId: string;
  /** `true` for `join`, `false` for every other membership. */
  readonly joined: boolean;
}

/** @throws PublicError INVALID: a caller in JavaScript can leave `joined` out, which must not count as a leave */
export function checkJoined(joined: unknown): asserts joined is boolean {
  if (typeof joined !== 'boolean') throw new PublicError('INVALID', 'joined must be true or false');
}

/** The memberships that Matrix knows (Client-Server API, `m.room.member`). */
export const memberships = ['join', 'leave', 'invite', 'ban', 'knock'] as const;

/** A membership as it is written down in NDJSON and msgpack. */
export interface MembershipRecord {
  readonly user_id: string;
  readonly room_id: string;
  readonly membership: (typeof memberships)[number];
}

/**
 * Reads one decoded NDJSON line or msgpack element. Unknown keys are passed over.
 * @throws PublicError INVALID with a message that names the field and what it takes.
 */
export function changeFrom(value: unknown): Change {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PublicError('INVALID', 'expected an object {"user_id","room_id","membership"}');
  }
  const { user_id: userId, room_id: roomId, membership } = value as Record<string, unknown>;
  checkName('user_id', userId);
  checkName('room_id', roomId);
  if (!(memberships as readonly unknown[]).includes(membership)) {
    throw new PublicError('INVALID', `membership must be one of ${memberships.join(', ')}`);
  }
  return { userId, roomId, joined: membership === 'join' };
}

/**
 * Any well-formed string of 1 to `nameBytesMax` bytes of UTF-8 is a legal ID here: rooms hold historical ones that no
 * grammar of today admits.
 * @throws PublicError INVALID
 */
export function checkName(field: string, value: unknown): asserts value is string {
  if (typeof value !== 'string') throw new PublicError('INVALID', `${field} must be a string`);
  if (value.length === 0) throw new PublicError('INVALID', `${field} must not be empty`);
  // A string of n UTF-16 units has at most 3n bytes of UTF-8; only what may be too long is measured.
  if (value.length * 3 > nameBytesMax && Buffer.byteLength(value) > nameBytesMax) {
    throw new PublicError('INVALID', `${field} is longer than ${nameBytesMax} bytes`);
  }
  if (!value.isWellFormed()) throw new PublicError('INVALID', `${field} holds half of a surrogate pair`);
}
