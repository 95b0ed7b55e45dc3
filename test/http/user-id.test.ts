/** Which user IDs may be asked about? The grammar of the specification (appendices, "User Identifiers"), row by row. */
import { expect, test } from 'vitest';
import { MatrixError } from '../../src/base/matrix-error.js';
import { checkUserId } from '../../src/http/user-id.js';

/** Fills the localpart so that the whole ID has so many bytes. */
const ofBytes = (bytes: number): string => `@${'a'.repeat(bytes - 3)}:x`;

test.each([
  ['current grammar', '@alice:x'],
  ['every character of the current grammar', '@az09-.=_/+:x'],
  ['historical: capitals', '@Alice:x'],
  ['historical: U+0021', '@a!b:x'],
  ['historical: U+007E', '@~:x'],
  ['historical: a second sigil', '@@a:x'],
  ['historical: percent signs that encode nothing', '@%41%zz:x'],
  ['historical: quotes and backslashes', '@"\\:x'],
  ['port of one digit', '@a:x:1'],
  ['port of five digits, which has no numeric cap', '@a:x:99999'],
  ['DNS name in capitals', '@a:Example.ORG'],
  ['hyphens and digits', '@a:1-2.example-3.org'],
  ['IPv4', '@a:1.2.3.4'],
  ['IPv4 with a port', '@a:1.2.3.4:8448'],
  ['IPv6', '@a:[1234:5678::abcd]'],
  ['IPv6 with a port', '@a:[::1]:8448'],
  ['IPv6 that ends as IPv4', '@a:[::ffff:1.2.3.4]'],
  ['exactly 255 bytes', ofBytes(255)],
])('compliant: %s', (_, userId) => {
  expect(() => checkUserId(userId)).not.toThrow();
});

test.each([
  ['empty text', ''],
  ['no sigil', 'alice:x'],
  ['the sigil of a room', '!alice:x'],
  ['no colon', '@alice'],
  ['localpart empty', '@:x'],
  ['server name empty', '@alice:'],
  ['a space in the localpart', '@a b:x'],
  ['a control character', '@a\u0000b:x'],
  ['U+007F', '@a\u007fb:x'],
  ['a character outside ASCII', '@é:x'],
  ['half of a surrogate pair', '@\ud800:x'],
  ['a line break at the end', '@a:x\n'],
  ['a space at the end', '@a:x '],
  ['underscore in the server name', '@a:x_y'],
  ['a path after the server name', '@a:x/y'],
  ['server name outside ASCII', '@a:exämple.org'],
  ['port empty', '@a:x:'],
  ['port of six digits', '@a:x:123456'],
  ['port of letters', '@a:x:http'],
  ['two ports', '@a:x:1:2'],
  ['IPv6 without brackets', '@a:::1'],
  ['IPv6 without its end', '@a:[::1'],
  ['IPv6 that is none', '@a:[1:2:3]'],
  ['IPv6 with a letter beyond f', '@a:[::g]'],
  ['IPv6 with a zone', '@a:[fe80::1%25eth0]'],
  ['256 bytes', ofBytes(256)],
  ['very long', ofBytes(100_000)],
])('non-compliant: %s', (_, userId) => {
  expect(() => checkUserId(userId)).toThrow(MatrixError);
  try {
    checkUserId(userId);
  } catch (error) {
    expect(error).toMatchObject({ status: 400, errcode: 'M_INVALID_PARAM' });
  }
});
