/**
 * What PostgreSQL, or the way to it, says of a failure, in words that tell what to do.
 */
import { messageOf } from '../../base/errors.js';

const byCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: is PostgreSQL running, and are host and port right?',
  ENOTFOUND: 'there is no host of that name',
  ETIMEDOUT: 'the host does not answer',
  '28P01': 'the password is wrong',
  '28000': 'pg_hba.conf lets this user not in',
  '3D000': 'there is no database of that name',
  '42501': 'the role lacks a grant: run the SQL that "mutual-rooms grants" prints',
  '42P01': 'a table of Synapse is not there: is it the right database, and has Synapse been started once?',
  '42703': 'a table of Synapse lacks a column: its schema is older or newer than this program knows',
  '53300': 'PostgreSQL has no connection left for this role',
  '57P01': 'PostgreSQL ended the connection',
  '57P03': 'PostgreSQL is starting up, or shutting down',
};

/** What went wrong, and what it means where that is known. Holds no password: PostgreSQL repeats none. */
export function postgresFault(error: unknown): string {
  const message = messageOf(error);
  const code = codeOf(error);
  const meaning = code === undefined ? undefined : byCode[code];
  // A refused connection has an empty message where there are several addresses.
  return [message === '' ? code : message, meaning].filter((part) => part !== undefined).join('; ');
}

export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
