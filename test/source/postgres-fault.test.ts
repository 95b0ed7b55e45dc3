import { expect, it } from 'vitest';
import { codeOf, postgresFault } from '../../src/source/synapse/database/postgres-fault.js';

const withCode = (message: string, code: unknown): Error => Object.assign(new Error(message), { code });

it.each([
  [
    withCode('permission denied for table events', '42501'),
    /^permission denied for table events; the role lacks/,
  ],
  // As node says it of a name with several addresses.
  [Object.assign(new AggregateError([]), { code: 'ECONNREFUSED' }), /^ECONNREFUSED; nothing listens there/],
  [new Error('Query read timeout'), /^Query read timeout; the server does not answer$/],
  [
    new Error('SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string'),
    /; a password is asked for, and none is configured$/,
  ],
  [withCode('something rare', 'XX000'), /^something rare$/],
  ['no error at all', /^no error at all$/],
])('%s', (error, text) => {
  expect(postgresFault(error)).toMatch(text);
});

it('has a code only where there is a text', () => {
  expect(codeOf(withCode('', '57P01'))).toBe('57P01');
  expect([withCode('', 7), new Error(''), null, 'x'].map(codeOf)).toEqual(Array(4).fill(undefined));
});
