/** What is stored need not begin at a whole word, so words are copied out of it. */
export function wordsOf(bytes: Uint8Array, length: number): Uint32Array {
  const words = new Uint32Array(length >>> 2);
  new Uint8Array(words.buffer).set(bytes.subarray(0, words.byteLength));
  return words;
}
