/**
 * What PostgreSQL, or the way to it, says of a failure, in words that tell what to do.
 */
import { messageOf } from '../../../base/errors.js';

const untrusted = 'Node does not trust that certificate: name its authority in NODE_EXTRA_CA_CERTS';

const byCode: Readonly<Record<string, string>> = {
  ECONNREFUSED: 'nothing listens there: is PostgreSQL running, and are host and port right?',
  ENOENT: 'a file, or the socket of the server, is not there',
  ENOTFOUND: 'there is no host of that name',
  EAI_AGAIN: 'the host name cannot be looked up',
  EHOSTUNREACH: 'no way leads to the host',
  ENETUNREACH: 'no way leads to the host',
  ETIMEDOUT: 'the host does not answer',
  CERT_HAS_EXPIRED: 'the certificate of the server is too old',
  DEPTH_ZERO_SELF_SIGNED_CERT: untrusted,
  SELF_SIGNED_CERT_IN_CHAIN: untrusted,
  UNABLE_TO_GET_ISSUER_CERT_LOCALLY: untrusted,
  UNABLE_TO_VERIFY_LEAF_SIGNATURE: untrusted,
  ERR_TLS_CERT_ALTNAME_INVALID: 'the certificate is for another host name: write the host as it has it',
  '28P01':
    'the password is wrong, or there is no such role, or it has no password yet: run what "mutual-rooms grants" prints, then ALTER ROLE ... PASSWORD',
  '28000': 'the role may not log in, or pg_hba.conf does not let it in from here',
  '3D000': 'there is no database of that name',
  '42501': 'the role lacks a grant: run the SQL that "mutual-rooms grants" prints',
  '42P01': 'a table of Synapse is not there: is it the right database, and has Synapse been started once?',
  '42703': 'a table of Synapse lacks a column: its schema is older or newer than this program knows',
  '53300':
    'no connection is left: a server takes three; raise the CONNECTION LIMIT of the role, or max_connections',
  '57014': 'it took too long, or waits for a lock',
  '57P01': 'PostgreSQL ended the connection',
  '57P03': 'PostgreSQL is starting up, or shutting down',
};

/** Of the driver, which gives no codes for these; by how they begin. */
const byMessage: readonly (readonly [beginning: string, meaning: string])[] = [
  ['timeout expired', 'nothing answers at that host and port, or what answers is not PostgreSQL'],
  ['Query read timeout', 'the server does not answer'],
  ['SASL: SCRAM-SERVER-FIRST-MESSAGE: client password', 'a password is asked for, and none is configured'],
  ['The server does not support SSL', 'TLS is off there: leave it out, or switch ssl on in postgresql.conf'],
];

/** What went wrong, and what it means where that is known. Holds no password: PostgreSQL repeats none. */
export function postgresFault(error: unknown): string {
  const message = messageOf(error);
  const code = codeOf(error);
  const meaning =
    (code === undefined ? undefined : byCode[code]) ??
    byMessage.find(([beginning]) => message.startsWith(beginning))?.[1];
  // A refused connection has an empty message where there are several addresses.
  return [message === '' ? code : message, meaning].filter((part) => part !== undefined).join('; ');
}

export function codeOf(error: unknown): string | undefined {
  if (typeof error !== 'object' || error === null || !('code' in error)) return undefined;
  return typeof error.code === 'string' ? error.code : undefined;
}
