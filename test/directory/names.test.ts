/** Are names read back as they were written: across chunks, as JSON, by other readers, and when nothing fits? */
import { describe, expect, test, onTestFinished } from 'vitest';
import fc from 'fast-check';
import { scratchBytesMax } from '../../src/base/limits.js';
import { NameEncoder, wordsOf } from '../../src/directory/encoder.js';
import { JsonList } from '../../src/directory/json-list.js';
import { Names, escapeFlag, lengthMask } from '../../src/directory/names.js';
import { anyName } from './any-name.js';

const mebibyte = 2 ** 20;

function append(names: Names, name: string, lane = 0): number {
  const encoder = new NameEncoder();
  expect(encoder.encode(name)).toBe(true);
  return names.append(
    lane,
    encoder.words,
    encoder.byteLength,
    JSON.stringify(name).length !== name.length + 2,
  );
}

const arenaChunks = (names: Names): number =>
  names.subscribe().growth.pieces.filter(({ lane }) => lane === -1).length;

function jsonOf(names: Names, number: number): string {
  const target = new Uint8Array(8 * 1024).fill(0x7e);
  const position = names.position(number);
  const end = names.writeJsonAt(position, new DataView(target.buffer), 3);
  expect(end - 3).toBeLessThanOrEqual(names.jsonBytesMaxAt(position));
  // Up to three bytes behind the end are written too.
  expect([...target.subarray(0, 3), target[end + 3]]).toEqual([0x7e, 0x7e, 0x7e, 0x7e]);
  return Buffer.from(target.subarray(3, end)).toString();
}

test('text and JSON of any name; equals tells it from others', () => {
  const names = new Names(1, 31);
  const encoder = new NameEncoder();
  fc.assert(
    fc.property(anyName, anyName, (name, other) => {
      const number = append(names, name);
      expect(names.text(number)).toBe(name);
      expect(jsonOf(names, number)).toBe(JSON.stringify(name));
      for (const asked of [name, other, `${name.slice(1)}x`, name.slice(0, -1)]) {
        if (!encoder.encode(asked)) continue;
        expect(names.equalsAt(names.position(number), encoder.words, 0, encoder.byteLength)).toBe(
          asked === name,
        );
      }
    }),
    { numRuns: 500 },
  );
});

test('every ASCII character, and those of JSON and of C1, is escaped as JSON.stringify does', () => {
  const names = new Names(1, 31);
  const codes = [...Array(0x120).keys(), 0x2028, 0x2029, 0xfeff, 0xfffd, 0xffff, 0x10000, 0x10ffff];
  for (const code of codes) {
    for (const name of [String.fromCodePoint(code), `a${String.fromCodePoint(code)}é`]) {
      expect(jsonOf(names, append(names, name))).toBe(JSON.stringify(name));
    }
  }
});

describe('the arena', () => {
  test('names that fill a chunk to its last byte, and one more', () => {
    const names = new Names(1, 31);
    // 1,022 bytes and a header of 2: 1,024 of them are 1 MiB.
    const texts = Array.from({ length: 1025 }, (_, index) => `${index}`.padEnd(1022, '.'));
    const numbers = texts.slice(0, 1024).map((text) => append(names, text));
    expect(arenaChunks(names)).toBe(1);
    numbers.push(append(names, texts[1024]));
    expect(arenaChunks(names)).toBe(2);
    expect(numbers.map((number) => names.text(number))).toEqual(texts);
  });

  test('a name that does not fit the rest of a chunk goes to the next one whole', () => {
    const names = new Names(1, 31);
    const texts: string[] = [];
    // 1,020 to 1,028 bytes each, in whole words: some bytes of each chunk stay unused.
    for (let index = 0; index < 4000; index += 1) texts.push(`${index}`.padEnd(1024 - (index % 7), '-'));
    const numbers = texts.map((text) => append(names, text));
    expect(arenaChunks(names)).toBe(Math.ceil(texts.length / Math.floor(mebibyte / 1024)));
    expect(numbers.map((number) => names.text(number))).toEqual(texts);
  });

  test('bytes are those of the chunks', () => {
    const names = new Names(2, 4);
    expect(names.bytes).toBe(0);
    append(names, 'a', 1);
    expect(names.bytes).toBe(mebibyte + 1024 * 4);
    // A single lane grows in larger steps.
    const single = new Names(1, 31);
    append(single, 'a');
    expect(single.bytes).toBe(mebibyte + 65_536 * 4);
  });
});

test('copies of any names, one behind the other, are what was stored, and can be appended as they are', () => {
  fc.assert(
    fc.property(fc.array(anyName, { maxLength: 30 }), (texts) => {
      const names = new Names(1, 31);
      const numbers = texts.map((text) => append(names, text));
      const copies = new Uint32Array(texts.length * wordsOf(1024) + 1).fill(0xa5a5a5a5);
      let end = 0;
      const starts = numbers.map((number) => {
        const start = end;
        end = names.copyTo(number, copies, start);
        return start;
      });
      expect(copies[end]).toBe(0xa5a5a5a5);
      const bytes = Buffer.from(copies.buffer);
      const other = new Names(1, 31);
      for (const [index, text] of texts.entries()) {
        const start = starts[index];
        const header = bytes.readUInt16LE(start * 4);
        const length = header & lengthMask;
        const size = (starts[index + 1] ?? end) - start;
        expect((header & escapeFlag) !== 0).toBe(JSON.stringify(text).length !== text.length + 2);
        expect(bytes.toString('utf8', start * 4 + 2, start * 4 + 2 + length)).toBe(text);
        expect(size).toBe(wordsOf(length));
        expect(bytes.subarray(start * 4 + 2 + length, (start + size) * 4).every((byte) => byte === 0)).toBe(
          true,
        );
        other.append(0, copies, length, false, start);
        expect(jsonOf(other, index)).toBe(JSON.stringify(text));
      }
    }),
    { numRuns: 200 },
  );
});

describe('lanes', () => {
  test('count what they have given out', () => {
    const names = new Names(3, 5);
    for (const lane of [2, 0, 2, 2]) append(names, `${lane}`, lane);
    expect([0, 1, 2].map((lane) => names.countOf(lane))).toEqual([1, 0, 3]);
  });

  test('a number is its lane and its place in it', () => {
    const names = new Names(4, 5);
    expect([append(names, 'a', 3), append(names, 'b', 0), append(names, 'c', 3)]).toEqual([96, 0, 97]);
    expect([96, 0, 97].map((number) => names.text(number))).toEqual(['a', 'b', 'c']);
  });

  test('a full lane refuses and changes nothing; the others go on', () => {
    const names = new Names(2, 3);
    for (let index = 0; index < 7; index += 1) expect(append(names, `${index}`, 0)).toBe(index);
    const { bytes } = names;
    expect(() => append(names, 'more', 0)).toThrow(expect.objectContaining({ code: 'FULL' }));
    expect(names.bytes).toBe(bytes);
    expect(append(names, 'more', 1)).toBe(8);
    expect(names.text(8)).toBe('more');
    expect(names.text(6)).toBe('6');
  });
});

test('the bound of a name that needs no escape is exact', () => {
  const names = new Names(1, 31);
  for (const name of ['plain', 'ünï☕', 'x'.repeat(1024)]) {
    const bytes = Buffer.byteLength(JSON.stringify(name));
    expect(names.jsonBytesMaxAt(names.position(append(names, name)))).toBe(bytes);
  }
});

describe('a list', () => {
  test('of any names is what JSON.stringify makes of them, list behind list, and grows as it must', () => {
    const names = new Names(1, 31);
    const list = new JsonList(names);
    fc.assert(
      fc.property(fc.array(fc.array(anyName, { maxLength: 30 }), { maxLength: 8 }), (lists) => {
        list.clear();
        for (const texts of lists) {
          const start = list.end;
          list.add(
            Uint32Array.from(texts, (text) => append(names, text)),
            texts.length,
          );
          const written = (end: number): string => Buffer.from(list.bytes.subarray(start, end)).toString();
          for (const index of texts.keys()) {
            const expected = JSON.stringify(texts.slice(0, index + 1)).slice(1, -1);
            expect(written(list.ends[index])).toBe(expected);
          }
          expect(written(list.end)).toBe(JSON.stringify(texts).slice(1, -1));
        }
      }),
      { numRuns: 100 },
    );
  });

  test('larger than the scratch memory that is kept gives it back', () => {
    const names = new Names(1, 31);
    const list = new JsonList(names);
    const number = append(names, 'x'.repeat(1000));
    list.add(new Uint32Array(5000).fill(number), 5000);
    expect(list.end).toBe(5000 * 1003 - 1);
    list.clear();
    expect([list.end, list.bytes.length]).toEqual([0, scratchBytesMax]);
    list.add(Uint32Array.of(number), 1);
    expect(list.end).toBe(1002);
  });
});

test('a reader that looks for growth now and then reads every name written so far', () => {
  const writer = new Names(3, 20);
  const reader = Names.open(writer.subscribe());
  onTestFinished(() => reader.close());
  const written: { number: number; text: string }[] = [];
  for (let round = 0; round < 6; round += 1) {
    for (let index = 0; index < 1500; index += 1) {
      const text = `${round}/${index}`.padEnd(300, '"é');
      written.push({ number: append(writer, text, index % 3), text });
    }
    reader.renew();
    expect(reader.bytes).toBe(writer.bytes);
    for (const { number, text } of written) {
      if (reader.text(number) !== text) expect(reader.text(number)).toBe(text);
    }
  }
  expect(arenaChunks(reader)).toBeGreaterThan(2);
  expect(jsonOf(reader, written[0].number)).toBe(JSON.stringify(written[0].text));
});
