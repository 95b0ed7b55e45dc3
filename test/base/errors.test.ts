/** Do errors carry what a caller needs, and nothing that was not given? */
import { expect, test } from 'vitest';
import { AssertionError, assert } from '../../src/base/assert.js';
import { PublicError, messageOf } from '../../src/base/errors.js';
import { MatrixError } from '../../src/base/matrix-error.js';

test('assert throws its own class, and only for what is false', () => {
  expect(() => assert(true, 'holds')).not.toThrow();
  expect(() => assert(false, 'one fact')).toThrow(AssertionError);
  expect(() => assert(false, 'one fact')).toThrow('one fact');
});

test('PublicError keeps code, retry and cause; without a cause it has none', () => {
  const cause = new Error('below');
  const error = new PublicError('OVERLOADED', 'full', { retryAfterSeconds: 2, cause });
  expect(error).toMatchObject({
    name: 'PublicError',
    code: 'OVERLOADED',
    retryAfterSeconds: 2,
    message: 'full',
  });
  expect(error.cause).toBe(cause);
  expect('cause' in new PublicError('INVALID', 'no')).toBe(false);
});

test('MatrixError keeps status, errcode and details; without a cause it has none', () => {
  const error = new MatrixError(401, 'M_UNKNOWN_TOKEN', 'who?', { softLogout: true });
  expect(error).toMatchObject({ status: 401, errcode: 'M_UNKNOWN_TOKEN', message: 'who?', softLogout: true });
  expect(error.retryAfterSeconds).toBeUndefined();
  expect('cause' in error).toBe(false);
});

test('anything thrown has a message', () => {
  expect(messageOf(new Error('plain'))).toBe('plain');
  expect(messageOf('text')).toBe('text');
  expect(messageOf(undefined)).toBe('undefined');
});
