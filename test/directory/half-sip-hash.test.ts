/** Is it HalfSipHash? The published vectors of the 2-4 variant, and that both halves of the key and each byte count. */
import { describe, expect, test } from 'vitest';
import { halfSipHash } from '../../src/directory/half-sip-hash.js';

const key0 = 0x03020100;
const key1 = 0x07060504;

/** Hashes of the messages (empty), 00, 00 01, ... under the key 00 01 .. 07, as little-endian hexadecimal. */
const vectors = ['a9359f5b', '27475ab8', 'fa62a603', '8afee704', '2a6e4689'].concat([
  'c5fab669',
  '5863fc23',
  '8bcf63c5',
  'd0b8848f',
  'f806e779',
]);

/** The message laid out as `halfSipHash` wants it. */
function wordsOf(message: Uint8Array): Uint32Array {
  const bytes = new Uint8Array((message.length & ~3) + 4);
  bytes.set(message);
  return new Uint32Array(bytes.buffer);
}

const counting = (length: number): Uint8Array => Uint8Array.from({ length }, (_, index) => index & 0xff);

function littleEndian(hash: number): string {
  const bytes = Buffer.alloc(4);
  bytes.writeUInt32LE(hash);
  return bytes.toString('hex');
}

test.each(vectors.map((expected, length) => ({ length, expected })))(
  'published vector of length $length',
  ({ length, expected }) => {
    expect(littleEndian(halfSipHash(wordsOf(counting(length)), 0, length, key0, key1, 2, 4))).toBe(expected);
  },
);

describe('the 1-3 variant', () => {
  test('every length from 0 to 1,024 has its own hash, an unsigned 32-bit integer', () => {
    const hashes = new Set<number>();
    for (let length = 0; length <= 1024; length += 1) {
      // Zeroes only: nothing but the length tells these messages apart.
      const hash = halfSipHash(wordsOf(new Uint8Array(length)), 0, length, key0, key1);
      expect(hash).toBe(hash >>> 0);
      hashes.add(hash);
    }
    expect(hashes.size).toBe(1025);
  });

  test('each bit of either half of the key changes the hash', () => {
    const words = wordsOf(counting(20));
    const hashes = new Set([halfSipHash(words, 0, 20, key0, key1)]);
    for (let bit = 0; bit < 32; bit += 1) {
      hashes.add(halfSipHash(words, 0, 20, key0 ^ (1 << bit), key1));
      hashes.add(halfSipHash(words, 0, 20, key0, key1 ^ (1 << bit)));
    }
    expect(hashes.size).toBe(65);
  });

  test('each bit of the message flips about half of the hash', () => {
    for (let length = 1; length <= 9; length += 1) {
      const plain = halfSipHash(wordsOf(counting(length)), 0, length, key0, key1);
      let flipped = 0;
      for (let bit = 0; bit < length * 8; bit += 1) {
        const message = counting(length);
        message[bit >>> 3] ^= 1 << (bit & 7);
        const changed = plain ^ halfSipHash(wordsOf(message), 0, length, key0, key1);
        expect(changed).not.toBe(0);
        for (let rest = changed >>> 0; rest !== 0; rest >>>= 1) flipped += rest & 1;
      }
      expect(flipped / (length * 8)).toBeGreaterThan(12);
      expect(flipped / (length * 8)).toBeLessThan(20);
    }
  });

  test('a message in the middle of others hashes as it does alone', () => {
    for (let length = 0; length <= 40; length += 1) {
      const alone = wordsOf(counting(length));
      const among = Uint32Array.from([7, 8, 9, ...alone, 10]);
      // Nor do bytes behind it matter that are in its last word.
      new Uint8Array(among.buffer).fill(0xff, 12 + length);
      expect(halfSipHash(among, 3, length, key0, key1)).toBe(halfSipHash(alone, 0, length, key0, key1));
    }
  });

  test('a key given as signed or unsigned integer is the same key', () => {
    const words = wordsOf(counting(5));
    expect(halfSipHash(words, 0, 5, 0xdeadbeef, 0xfeedface)).toBe(
      halfSipHash(words, 0, 5, 0xdeadbeef | 0, 0xfeedface | 0),
    );
  });
});
