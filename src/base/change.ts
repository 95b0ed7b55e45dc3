/**
 * A change, as every source yields it: whether a user is joined to a room from now on.
 *
 * Only `join` counts as joined; any other membership takes the user out of the room. A change says what holds, not what to
 * do, so applying it twice equals applying it once.
 */
import { PublicError } from './errors.js';
import { isObject } from './json-object.js';
import { nameBytesMax } from './limits.js';

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

/** A membership as it is written down in NDJSON and msgpack, and as rows of a database and SDKs have it. */
export interface MembershipRecord {
  readonly user_id: string;
  readonly room_id: string;
  /** Only `join` counts as joined. */
  readonly membership: string;
}

/** What is wrong with a record that is none. */
export const noRecord = 'expected an object {"user_id","room_id","membership"}';

/**
 * Reads one decoded line of NDJSON or element of msgpack. Unknown keys are passed over; a membership that Matrix does not know is
 * a fault, because nobody looks at every line. It is no error: a body may hold millions of records, and all of them may be bad.
 * @returns the change, or what is wrong with the record: the field, and what it takes
 */
export function changeOrFault(value: unknown): Change | string {
  const change = readRecord(value);
  if (typeof change === 'string' || change.joined) return change;
  return (memberships as readonly unknown[]).includes((value as MembershipRecord).membership)
    ? change
    : `membership must be one of ${memberships.join(', ')}`;
}

/**
 * Reads one record of a program. Unknown keys are passed over; any membership but `join` is not joined.
 * @throws PublicError INVALID with a message that names the field and what it takes
 */
export function changeFromRecord(value: unknown): Change {
  const change = readRecord(value);
  if (typeof change === 'string') throw new PublicError('INVALID', change);
  if (typeof (value as MembershipRecord).membership !== 'string')
    throw new PublicError('INVALID', 'membership must be a string, such as join or leave');
  return change;
}

function readRecord(value: unknown): Change | string {
  if (!isObject(value)) return noRecord;
  const { user_id: userId, room_id: roomId, membership } = value;
  const fault = nameFault('user_id', userId) ?? nameFault('room_id', roomId);
  return fault ?? { userId: userId as string, roomId: roomId as string, joined: membership === 'join' };
}

/** An `m.room.member` event, as the Client-Server API and SDKs have it. */
export interface MemberEvent {
  readonly type: string;
  /** Absent where the room is known from elsewhere, as in an answer of `/sync`. */
  readonly room_id?: string | undefined;
  /** The user whose membership it is. */
  readonly state_key?: string | undefined;
  readonly content: { readonly membership?: unknown; readonly [more: string]: unknown };
  readonly [more: string]: unknown;
}

/**
 * Reads an event. @param roomId where the event does not say it
 * @throws PublicError INVALID for an event that is no membership
 */
export function changeFromEvent(event: MemberEvent, roomId?: string): Change {
  const {
    type,
    state_key: userId,
    room_id,
    content,
  } = isObject(event) ? event : ({} as Partial<MemberEvent>);
  if (type !== 'm.room.member' || !isObject(content))
    throw new PublicError('INVALID', `expected an m.room.member event, not ${JSON.stringify(type ?? event)}`);
  const fault = nameFault('state_key', userId) ?? nameFault('room_id', roomId ?? room_id);
  if (fault !== undefined) throw new PublicError('INVALID', fault);
  return changeFromRecord({ user_id: userId, room_id: roomId ?? room_id, membership: content.membership });
}

/** @throws PublicError INVALID for what is no list: a single record is easily given in its place */
export function checkRecords(records: unknown): asserts records is Iterable<unknown> {
  if (typeof records !== 'object' || records === null || !(Symbol.iterator in records))
    throw new PublicError('INVALID', 'records must be an array, or another iterable, of records');
}

/**
 * Any well-formed string of 1 to `nameBytesMax` bytes of UTF-8 is a legal ID here: rooms hold historical ones that no
 * grammar of today admits.
 * @throws PublicError INVALID
 */
export function checkName(field: string, value: unknown): asserts value is string {
  const fault = nameFault(field, value);
  if (fault !== undefined) throw new PublicError('INVALID', fault);
}

/** @returns undefined for a name */
function nameFault(field: string, value: unknown): string | undefined {
  if (typeof value !== 'string') return `${field} must be a string`;
  if (value.length === 0) return `${field} must not be empty`;
  // A string of n UTF-16 units has at most 3n bytes of UTF-8; only what may be too long is measured.
  if (value.length * 3 > nameBytesMax && Buffer.byteLength(value) > nameBytesMax) {
    return `${field} is longer than ${nameBytesMax} bytes`;
  }
  return value.isWellFormed() ? undefined : `${field} holds half of a surrogate pair`;
}
