/**
 * HalfSipHash (Aumasson, Bernstein): a keyed 32-bit hash made of 32-bit additions, rotations and XORs.
 *
 * Names come from anybody on the federation, so an unkeyed hash would let a stranger choose user IDs that all fall into
 * one slot. The tables use the 1-3 variant with a random key; partitions use it with a fixed key, because a room's
 * partition must be the same after a restart. The 2-4 variant is what the published test vectors are for.
 *
 * Cost: about 2 ns a byte; measured by `npm run bench -- intern`.
 */

/**
 * @param words the message as little-endian words; what lies behind it in the last one does not matter, and one more
 *   word must exist when `length` is a multiple of four
 * @param start the word at which the message begins
 * @param length of the message in bytes
 * @returns an unsigned 32-bit hash
 */
export function halfSipHash(
  words: Uint32Array,
  start: number,
  length: number,
  key0: number,
  key1: number,
  compressionRounds = 1,
  finalRounds = 3,
): number {
  let v0 = key0 | 0;
  let v1 = key1 | 0;
  let v2 = 0x6c796765 ^ key0;
  let v3 = 0x74656462 ^ key1;
  const end = start + (length >>> 2);
  /** Bytes of the message in the word that ends it: none to three. */
  const lastBytes = (1 << ((length & 3) << 3)) - 1;
  for (let index = start; index <= end; index += 1) {
    const word = index < end ? words[index] | 0 : (words[index] & lastBytes) | (length << 24);
    v3 ^= word;
    for (let round = 0; round < compressionRounds; round += 1) {
      v0 = (v0 + v1) | 0;
      v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
      v0 = (v0 << 16) | (v0 >>> 16);
      v2 = (v2 + v3) | 0;
      v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
      v0 = (v0 + v3) | 0;
      v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
      v2 = (v2 + v1) | 0;
      v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
      v2 = (v2 << 16) | (v2 >>> 16);
    }
    v0 ^= word;
  }
  v2 ^= 0xff;
  for (let round = 0; round < finalRounds; round += 1) {
    v0 = (v0 + v1) | 0;
    v1 = ((v1 << 5) | (v1 >>> 27)) ^ v0;
    v0 = (v0 << 16) | (v0 >>> 16);
    v2 = (v2 + v3) | 0;
    v3 = ((v3 << 8) | (v3 >>> 24)) ^ v2;
    v0 = (v0 + v3) | 0;
    v3 = ((v3 << 7) | (v3 >>> 25)) ^ v0;
    v2 = (v2 + v1) | 0;
    v1 = ((v1 << 13) | (v1 >>> 19)) ^ v2;
    v2 = (v2 << 16) | (v2 >>> 16);
  }
  return (v1 ^ v3) >>> 0;
}
