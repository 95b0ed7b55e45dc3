/**
 * The words that the synchronous index and the asynchronous engine share: what a question takes, what an answer has, and
 * the checks of both.
 */
import { PublicError } from '../base/errors.js';
import { roomNoEnd } from '../base/ids.js';
import { othersPerQuestionMax } from './bounds.js';
import { roomsPerPageMax, usersPerQuestionMax } from '../base/limits.js';

export interface MutualOptions {
  /** At most this many rooms, 0 to 10,000; 10,000 when absent. With 0 only the count is computed. */
  readonly limit?: number;
  /**
   * Begin after this room: the last one of the page before. Rank order never changes, so the room need not be shared
   * any more, but it must be a room that the index knows.
   */
  readonly after?: string;
}

export interface MutualRooms {
  /** Room IDs in rank order. */
  readonly rooms: string[];
  /** How many rooms the users share in all. */
  readonly count: number;
  /** Whether rooms remain after the last one here. */
  readonly more: boolean;
}

export interface Applied {
  /** Changes that changed something. */
  readonly applied: number;
  /** Changes that stated what already was. */
  readonly ignored: number;
}

export interface IndexStats {
  readonly memberships: number;
  /** User IDs that have a number: joined somewhere now, or once. */
  readonly usersKnown: number;
  /** Room IDs that have a number. */
  readonly roomsKnown: number;
  /**
   * Bytes by part: `names` and `tables` of both interners, `handles`, `packed`, `bitmaps` and `rooms` of all shards. Bitmaps are
   * counted as Roaring would write them down; in memory they take one to three times that (native-notes.md).
   */
  readonly bytes: {
    readonly names: number;
    readonly tables: number;
    readonly handles: number;
    readonly packed: number;
    readonly bitmaps: number;
    readonly rooms: number;
  };
}

/** @throws PublicError INVALID: a key that is misspelled must not be passed over */
export function checkKeys(what: string, value: object, known: readonly string[]): void {
  if (typeof value !== 'object' || (value as unknown) === null)
    throw new PublicError('INVALID', `${what} must be an object`);
  const unknown = Object.keys(value).find((key) => !known.includes(key));
  if (unknown !== undefined)
    throw new PublicError('INVALID', `${what} take ${known.join(', ')}, not ${JSON.stringify(unknown)}`);
}

/** @throws PublicError INVALID */
export function checkMutualOptions(options: MutualOptions): void {
  checkKeys('options', options, ['limit', 'after']);
}

/** @throws PublicError INVALID */
export function checkUsers(users: readonly string[]): void {
  if (!Array.isArray(users)) throw new PublicError('INVALID', 'users must be an array of user IDs');
  if (users.length < 1 || users.length > usersPerQuestionMax) {
    throw new PublicError(
      'INVALID',
      `a question names 1 to ${usersPerQuestionMax} users, not ${users.length}`,
    );
  }
}

/** @throws PublicError INVALID */
export function checkOthers(others: readonly string[]): void {
  if (!Array.isArray(others)) throw new PublicError('INVALID', 'the others must be an array of user IDs');
  if (others.length > othersPerQuestionMax) {
    throw new PublicError(
      'INVALID',
      `one call asks about at most ${othersPerQuestionMax} users, not ${others.length}`,
    );
  }
}

/** @throws PublicError INVALID */
export function checkLimit(limit: number): void {
  if (!Number.isInteger(limit) || limit < 0 || limit > roomsPerPageMax) {
    throw new PublicError(
      'INVALID',
      `limit must be a whole number from 0 to ${roomsPerPageMax}, not ${limit}`,
    );
  }
}

/** @throws PublicError INVALID */
export function checkStart(start: number): void {
  if (!Number.isInteger(start) || start < 0 || start > roomNoEnd) {
    throw new PublicError('INVALID', `start must be 0 or the nextStart of the page before, not ${start}`);
  }
}

/** @throws PublicError INVALID: the room is not one that the index knows */
export function startAfter(after: string, room: number): number {
  if (room === -1) {
    throw new PublicError('INVALID', `after: the index has never seen the room ${JSON.stringify(after)}`);
  }
  return room + 1;
}
