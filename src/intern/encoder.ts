/**
 * Turns one name at a time into UTF-8 in a scratch buffer, laid out for `halfSipHash`: no allocation on a look-up.
 * The result is valid until the next call.
 */
import { assert } from '../base/assert.js';
import { nameBytesMax } from '../base/limits.js';

export class NameEncoder {
  readonly bytes: Buffer;
  readonly words: Uint32Array;
  /** Bytes of the name last encoded. */
  length = 0;
  /** Whether a JSON string of it differs from its bytes: a quote, a backslash or a control character. */
  needsEscape = false;

  constructor() {
    const scratch = new ArrayBuffer(nameBytesMax + 8);
    this.bytes = Buffer.from(scratch);
    this.words = new Uint32Array(scratch);
  }

  /**
   * @returns false when the name is longer than `nameBytesMax` or holds half of a surrogate pair: no name is, and as
   *   UTF-8 such a half would be taken for U+FFFD. Nothing is encoded then.
   */
  encode(name: string): boolean {
    const { bytes } = this;
    if (name.length > nameBytesMax) return false;
    let length = name.length;
    let ascii = true;
    let needsEscape = false;
    for (let index = 0; index < length; index += 1) {
      const code = name.charCodeAt(index);
      if (code > 0x7f) {
        ascii = false;
        break;
      }
      if (code < 0x20 || code === 0x22 || code === 0x5c) needsEscape = true;
      bytes[index] = code;
    }
    if (!ascii) {
      if (Buffer.byteLength(name) > nameBytesMax || !name.isWellFormed()) return false;
      length = bytes.write(name, 'utf8');
      needsEscape = /["\\\p{Cc}]/u.test(name);
    }
    assert(length <= nameBytesMax, 'an encoded name fits the scratch buffer');
    this.length = length;
    this.needsEscape = needsEscape;
    // Zeroes up to the end of the word after the last whole one: what halfSipHash reads past the name.
    const end = (length & ~3) + 4;
    for (let index = length; index < end; index += 1) bytes[index] = 0;
    return true;
  }
}
