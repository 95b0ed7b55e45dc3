/**
 * A change as every source yields it: what one user's membership in one room now is.
 *
 * Only `join` counts as joined; any other membership takes the room away. So a change says what holds from now on, not
 * what to do, and applying it twice equals applying it once.
 */
import { nameBytesMax } from './limits.js';
import { PublicError } from './errors.js';

export interface Change {
  readonly userId: string;
  readonly roomId: string;
  /** `true` for `join`, `false` for every other membership. */
  readonly joined: boolean;
}

/** @throws PublicError INVALID: JavaScript can leave `joined` out, and that is no leave */
export function checkJoined(joined: unknown): asserts joined is boolean {
  if (typeof joined !== 'boolean') throw new PublicError('INVALID', 'joined must be true or false');
}

/** The memberships that Matrix knows (Client-Server API, `m.room.member`). */
export const memberships = ['join', 'leave', 'invite', 'ban', 'knock'] as const;

/** A membership as it is written down in NDJSON and msgpack, and as rows of a database and SDKs have it. */
export interface MembershipRecord {
  readonly user_id: string;
  readonly room_id: string;
  /** Only `join` counts as joined. */
  readonly membership: string;
}

/**
 * Reads one decoded NDJSON line or msgpack element. Unknown keys are passed over; a membership that Matrix does not know is
 * refused, because nobody looks at every line.
 * @throws PublicError INVALID with a message that names the field and what it takes.
 */
export function changeFrom(value: unknown): Change {
  const change = changeFromRecord(value);
  if (!(memberships as readonly unknown[]).includes((value as MembershipRecord).membership)) {
    throw new PublicError('INVALID', `membership must be one of ${memberships.join(', ')}`);
  }
  return change;
}

/**
 * Reads one record of a program. Unknown keys are passed over; any membership but `join` is not joined.
 * @throws PublicError INVALID with a message that names the field and what it takes.
 */
export function changeFromRecord(value: unknown): Change {
  if (typeof value !== 'object' || value === null || Array.isArray(value)) {
    throw new PublicError('INVALID', 'expected an object {"user_id","room_id","membership"}');
  }
  const { user_id: userId, room_id: roomId, membership } = value as Record<string, unknown>;
  checkName('user_id', userId);
  checkName('room_id', roomId);
  if (typeof membership !== 'string') {
    throw new PublicError('INVALID', `membership must be one of ${memberships.join(', ')}`);
  }
  return { userId, roomId, joined: membership === 'join' };
}

/** An `m.room.member` event, as the Client-Server API and SDKs have it. */
export interface MemberEvent {
  readonly type: string;
  /** Absent where the room is known from elsewhere, as in an answer of `/sync`. */
  readonly room_id?: string | undefined;
  /** The user whose membership it is. */
  readonly state_key?: string | undefined;
  readonly content: { readonly membership?: unknown };
}

/**
 * Reads an event. @param roomId where the event does not say it
 * @throws PublicError INVALID for an event that is no membership
 */
export function changeFromEvent(event: MemberEvent, roomId = event.room_id): Change {
  const { type, state_key, content } = event;
  if (type !== 'm.room.member')
    throw new PublicError('INVALID', `expected an m.room.member event, not ${JSON.stringify(type)}`);
  return changeFromRecord({ user_id: state_key, room_id: roomId, membership: content.membership });
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
