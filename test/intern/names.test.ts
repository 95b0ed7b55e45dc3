/** Are names read back as they were written: across chunks, as JSON, by other readers, and when nothing fits? */
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import { NameEncoder } from '../../src/intern/encoder.js';
import { Names } from '../../src/intern/names.js';
import { anyName } from './any-name.js';

const mebibyte = 2 ** 20;

function append(names: Names, name: string, lane = 0): number {
  const encoder = new NameEncoder();
  expect(encoder.encode(name)).toBe(true);
  return names.append(lane, encoder.bytes, encoder.length, encoder.needsEscape);
}

const arenaChunks = (names: Names): number => names.chunks.filter(({ lane }) => lane === -1).length;

function jsonOf(names: Names, number: number): string {
  const target = new Uint8Array(8 * 1024).fill(0x7e);
  const end = names.writeJson(number, target, 3);
  expect([...target.subarray(0, 3), target[end]]).toEqual([0x7e, 0x7e, 0x7e, 0x7e]);
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
        expect(names.equals(number, encoder.bytes, encoder.length)).toBe(asked === name);
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
    // 1,026 bytes each: 1,021 fit, 1,030 bytes stay; then ever shorter rests.
    for (let index = 0; index < 4000; index += 1) texts.push(`${index}`.padEnd(1024 - (index % 7), '-'));
    const numbers = texts.map((text) => append(names, text));
    expect(arenaChunks(names)).toBe(Math.ceil(texts.length / Math.floor(mebibyte / 1023)));
    expect(numbers.map((number) => names.text(number))).toEqual(texts);
  });

  test('bytes are those of the chunks', () => {
    const names = new Names(2, 4);
    expect(names.bytes).toBe(0);
    append(names, 'a', 1);
    expect(names.bytes).toBe(mebibyte + 1024 * 4);
  });
});

describe('lanes', () => {
  test('a number is its lane and its place in it', () => {
    const names = new Names(4, 5);
    expect([append(names, 'a', 3), append(names, 'b', 0), append(names, 'c', 3)]).toEqual([96, 0, 97]);
    expect([96, 0, 97].map((number) => names.text(number))).toEqual(['a', 'b', 'c']);
  });

  test('a full lane refuses and changes nothing; the others go on', () => {
    const names = new Names(2, 3);
    for (let index = 0; index < 8; index += 1) expect(append(names, `${index}`, 0)).toBe(index);
    const { bytes } = names;
    expect(() => append(names, 'more', 0)).toThrow(expect.objectContaining({ code: 'FULL' }));
    expect(names.bytes).toBe(bytes);
    expect(append(names, 'more', 1)).toBe(8);
    expect(names.text(8)).toBe('more');
    expect(names.text(7)).toBe('7');
  });
});

test('writeJson says -1 when the target is one byte short, and fits exactly otherwise', () => {
  const names = new Names(1, 31);
  for (const name of ['plain', 'a"b', 'ünï☕', 'tab\t']) {
    const number = append(names, name);
    const size = Buffer.byteLength(JSON.stringify(name));
    expect(names.writeJson(number, new Uint8Array(size + 4), 4)).toBe(size + 4);
    expect(names.writeJson(number, new Uint8Array(size + 3), 4)).toBe(-1);
    expect(names.writeJson(number, new Uint8Array(size), size)).toBe(-1);
  }
});

test('a reader that adopts growth piece by piece reads every name written so far', () => {
  const writer = new Names(3, 20);
  const reader = new Names(3, 20);
  const written: { number: number; text: string }[] = [];
  for (let round = 0; round < 6; round += 1) {
    for (let index = 0; index < 1500; index += 1) {
      const text = `${round}/${index}`.padEnd(300, '"é');
      written.push({ number: append(writer, text, index % 3), text });
    }
    reader.adopt(writer.chunks.slice(reader.chunks.length));
    expect(reader.bytes).toBe(writer.bytes);
    for (const { number, text } of written) {
      if (reader.text(number) !== text) expect(reader.text(number)).toBe(text);
    }
  }
  expect(arenaChunks(reader)).toBeGreaterThan(2);
  expect(jsonOf(reader, written[0].number)).toBe(JSON.stringify(written[0].text));
});
