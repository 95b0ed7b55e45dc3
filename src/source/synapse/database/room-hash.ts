/**
 * PostgreSQL's `hashtext` of a text in UTF-8. Rooms are compared by it, since PostgreSQL computes it ten times as fast as md5. It is
 * Bob Jenkins' lookup3 with PostgreSQL's initial values. It is not documented, but hash partitions on disk depend on it; and the feed
 * checks a few values before it relies on it (hash-check.ts).
 */
const goldenRatio = 0x9e3779b9;
const postgresSeed = 3923095;

let scratch = Buffer.alloc(1024);

export function hashText(text: string): number {
  // At most three bytes a UTF-16 unit.
  if (text.length * 3 > scratch.length) scratch = Buffer.alloc(text.length * 3);
  const length = scratch.write(text);
  let a = (goldenRatio + length + postgresSeed) | 0;
  let b = a;
  let c = a;
  let at = 0;
  for (; length - at >= 12; at += 12) {
    a = (a + scratch.readInt32LE(at)) | 0;
    b = (b + scratch.readInt32LE(at + 4)) | 0;
    c = (c + scratch.readInt32LE(at + 8)) | 0;
    a = ((a - c) | 0) ^ rotated(c, 4);
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ rotated(a, 6);
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ rotated(b, 8);
    b = (b + a) | 0;
    a = ((a - c) | 0) ^ rotated(c, 16);
    c = (c + b) | 0;
    b = ((b - a) | 0) ^ rotated(a, 19);
    a = (a + c) | 0;
    c = ((c - b) | 0) ^ rotated(b, 4);
    b = (b + a) | 0;
  }
  // The lowest byte of the last word is the length's.
  a = (a + tail(at, length, 0)) | 0;
  b = (b + tail(at, length, 4)) | 0;
  c = (c + (tail(at, length, 8) << 8)) | 0;
  c = ((c ^ b) - rotated(b, 14)) | 0;
  a = ((a ^ c) - rotated(c, 11)) | 0;
  b = ((b ^ a) - rotated(a, 25)) | 0;
  c = ((c ^ b) - rotated(b, 16)) | 0;
  a = ((a ^ c) - rotated(c, 4)) | 0;
  b = ((b ^ a) - rotated(a, 14)) | 0;
  return ((c ^ b) - rotated(b, 24)) | 0;
}

/** Up to four bytes, those behind the end as zero. */
function tail(at: number, length: number, offset: number): number {
  let word = 0;
  for (let index = 0; index < 4 && at + offset + index < length; index += 1)
    word |= scratch[at + offset + index] << (8 * index);
  return word;
}

function rotated(word: number, bits: number): number {
  return (word << bits) | (word >>> (32 - bits));
}
