/** Bytes cut into pieces at will, in one buffer that each piece overwrites, as a careless producer would. */
import fc from 'fast-check';

export async function* inPieces(bytes: Uint8Array, cuts: readonly number[]): AsyncGenerator<Uint8Array> {
  let start = 0;
  const reused = Buffer.alloc(bytes.length);
  for (const cut of [...cuts, bytes.length]) {
    const end = Math.min(bytes.length, Math.max(start, cut));
    const length = reused
      .fill(0x7b)
      .write(Buffer.from(bytes.subarray(start, end)).toString('latin1'), 'latin1');
    yield reused.subarray(0, length);
    start = end;
  }
}

/** Ascending places to cut within so many bytes. */
export function cuts(bytes: number): fc.Arbitrary<number[]> {
  return fc
    .array(fc.nat(bytes), { maxLength: 40 })
    .map((places) => places.sort((left, right) => left - right));
}

export async function collect<Item>(batches: AsyncIterable<Item[]>): Promise<Item[]> {
  const all: Item[] = [];
  for await (const batch of batches) all.push(...batch);
  return all;
}
