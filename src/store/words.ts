/** Copies 32-bit words out of stored bytes, which need not begin at a multiple of four. */
export function wordsOf(bytes: Uint8Array, length: number): Uint32Array {
  const words = new Uint32Array(length >>> 2);
  new Uint8Array(words.buffer).set(bytes.subarray(0, words.byteLength));
  return words;
}
