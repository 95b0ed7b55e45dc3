/**
 * Turns names into what is stored and hashed: two bytes of length, then UTF-8, in 32-bit words, so that a name is hashed
 * and compared four bytes at a time. No allocation; names may be encoded one behind the other, to look many up together.
 *
 * Cost: about a nanosecond a byte of ASCII.
 */
import { assert } from '../base/assert.js';
import { nameBytesMax } from '../base/limits.js';

/** Bytes before the name: its length, little-endian. */
export const headerBytes = 2;

/** Words of scratch: names of half a kilobyte each, or 500 usual ones. */
const wordCount = 4096;
/** The longest name, its header, and the word of zeroes that `halfSipHash` may read. */
const nameWordsMax = ((headerBytes + nameBytesMax) >>> 2) + 1;

/** How many words hold a name of so many bytes. */
export function wordsOf(byteLength: number): number {
  return (headerBytes + byteLength + 3) >>> 2;
}

export class NameEncoder {
  readonly words = new Uint32Array(wordCount);
  /** Bytes of the name last encoded, without the header. */
  byteLength = 0;
  readonly #bytes = Buffer.from(this.words.buffer);

  /** Whether a name of any length can be encoded at this word. */
  hasSpaceAt(at: number): boolean {
    return at + nameWordsMax <= wordCount;
  }

  /**
   * @param at the word to begin at
   * @returns false when it is no string (JavaScript can call this), longer than `nameBytesMax`, or holds half of a
   *   surrogate pair: no name is, and as UTF-8 such a half would be taken for U+FFFD. What is in the words is no name then.
   */
  encode(name: string, at = 0): boolean {
    if (typeof (name as unknown) !== 'string' || name.length > nameBytesMax) return false;
    const { length } = name;
    const { words } = this;
    // All units together: one above 0x7f shows in the end.
    let seen = 0;
    let word = length;
    let to = at;
    let index = 0;
    if (length >= 2) {
      const first = name.charCodeAt(0);
      const second = name.charCodeAt(1);
      seen = first | second;
      words[to++] = length | (first << 16) | (second << 24);
      word = 0;
      for (index = 2; index + 4 <= length; index += 4) {
        const a = name.charCodeAt(index);
        const b = name.charCodeAt(index + 1);
        const c = name.charCodeAt(index + 2);
        const d = name.charCodeAt(index + 3);
        seen |= a | b | c | d;
        words[to++] = a | (b << 8) | (c << 16) | (d << 24);
      }
    }
    for (; index < length; index += 1) {
      const unit = name.charCodeAt(index);
      seen |= unit;
      word |= unit << (((headerBytes + index) & 3) << 3);
    }
    // What is left over, or the word of zeroes behind a name that fills its last one.
    words[to] = word;
    this.byteLength = length;
    return seen <= 0x7f || this.#encodeUnicode(name, at);
  }

  #encodeUnicode(name: string, at: number): boolean {
    if (Buffer.byteLength(name) > nameBytesMax || !name.isWellFormed()) return false;
    const start = at * 4 + headerBytes;
    const length = this.#bytes.write(name, start, nameBytesMax, 'utf8');
    assert(length <= nameBytesMax, 'an encoded name fits its bound');
    this.#bytes.writeUInt16LE(length, at * 4);
    const end = start + length;
    this.#bytes.fill(0, end, (end & ~3) + 4);
    this.byteLength = length;
    return true;
  }
}
