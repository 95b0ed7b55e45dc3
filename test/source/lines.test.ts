import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { readLines } from '../../src/source/formats/lines.js';
import { cuts, inPieces } from './pieces.js';

/** Lines as [number, text], undefined for one too long. */
async function read(stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>, max = 8): Promise<unknown[]> {
  const lines: unknown[] = [];
  // Taken down batch by batch: the bytes hold no longer.
  for await (const batch of readLines(stream, { lineBytesMax: max })) {
    for (const { number, bytes } of batch) lines.push([number, bytes?.toString('latin1')]);
  }
  return lines;
}

const readText = (text: string, max?: number): Promise<unknown[]> => read([Buffer.from(text)], max);

describe('readLines', () => {
  it('numbers lines from 1 and takes a last one without newline', async () => {
    expect(await readText('a\nb')).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
    expect(await readText('a\nb\n')).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
  });

  it('leaves out blank lines but counts them', async () => {
    expect(await readText('\n \t\r\na\n\n\nb')).toEqual([
      [3, 'a'],
      [6, 'b'],
    ]);
  });

  it('tolerates CRLF and a byte order mark', async () => {
    expect(await readText('\ufeffa\r\nb\r')).toEqual([
      [1, 'a'],
      [2, 'b'],
    ]);
    expect(await readText('\ufeff\r\n\ufeff')).toEqual([[2, 'ï»¿']]);
  });

  it('bounds a line without what is trimmed, and reads on behind it', async () => {
    expect(await readText('\ufeff12345678\r\n123456789\n1234567890123\nb')).toEqual([
      [1, '12345678'],
      [2, undefined],
      [3, undefined],
      [4, 'b'],
    ]);
  });

  it('yields at most a thousand lines at once', async () => {
    const sizes: number[] = [];
    for await (const batch of readLines([Buffer.from('a\n'.repeat(2500))])) sizes.push(batch.length);
    expect(sizes).toEqual([1000, 1000, 500]);
  });

  it('holds bounded memory for a line that does not end', async () => {
    const piece = Buffer.alloc(65_536, 0x61);
    const endless = function* (): Generator<Uint8Array> {
      for (let count = 0; count < 5000; count++) yield piece;
    };
    expect(await read(endless())).toEqual([[1, undefined]]);
  });

  it('gives the same lines however the bytes are cut', async () => {
    const bytes = fc.array(fc.constantFrom(0x0a, 0x0a, 0x0d, 0x20, 0x61, 0x62, 0xef, 0xbb, 0xbf), {
      maxLength: 120,
    });
    const marked = fc
      .tuple(fc.boolean(), bytes)
      .map(([mark, rest]) => Buffer.from([...(mark ? [0xef, 0xbb, 0xbf] : []), ...rest]));
    const cut = marked.chain((whole) => fc.tuple(fc.constant(whole), cuts(whole.length)));
    await fc.assert(
      fc.asyncProperty(cut, async ([whole, places]) => {
        expect(await read(inPieces(whole, places), 4)).toEqual(await read([whole], 4));
      }),
      { numRuns: 1000 },
    );
  });
});
