/** Which strings can be names? Arbitraries for every kind: plain IDs, what JSON escapes, any Unicode, the longest. */
import fc from 'fast-check';
import { nameBytesMax } from '../../src/base/limits.js';
import { anyCharacter } from '../model/any-character.js';

const plainName = fc
  .tuple(
    fc.constantFrom('@', '!', '#'),
    fc.stringMatching(/^[a-z0-9._=/-]{1,24}$/),
    fc.constantFrom('a.b', 'x:8448'),
  )
  .map(([sigil, local, server]) => `${sigil}${local}:${server}`);

const awkwardName = fc
  .array(
    fc.constantFrom(
      '"',
      '\\',
      '\n',
      '\0',
      '\u001f',
      '\u007f',
      '\u0085',
      '\ufffd',
      '\u2028',
      'é',
      '☕',
      '😀',
      'a',
    ),
    {
      minLength: 1,
      maxLength: 20,
    },
  )
  .map((parts) => parts.join(''));

const anyUnicode = fc.string({ unit: anyCharacter, minLength: 1, maxLength: 40 });

/** 1,000 to 1,024 bytes of UTF-8 in characters of one to four bytes. */
const longName = fc
  .tuple(fc.constantFrom('a', 'é', '☕', '😀', '"'), fc.integer({ min: 1000, max: nameBytesMax }))
  .map(([unit, bytes]) => {
    const count = Math.floor(bytes / Buffer.byteLength(unit));
    return unit.repeat(count) + 'z'.repeat(bytes - count * Buffer.byteLength(unit));
  });

export const anyName = fc.oneof(plainName, awkwardName, anyUnicode, longName);
