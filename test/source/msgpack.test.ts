import fc from 'fast-check';
import { Packr } from 'msgpackr';
import { describe, expect, it } from 'vitest';
import { changeBytesMax } from '../../src/source/formats/bounds.js';
import { readMsgpack } from '../../src/source/formats/msgpack.js';
import { collect, cuts, inPieces } from './pieces.js';
import { anyCharacter } from '../model/any-character.js';

const packr = new Packr({ useRecords: false, variableMapSize: true });
const record = (user: unknown, room: unknown = '!r:x', membership: unknown = 'join') => ({
  user_id: user,
  room_id: room,
  membership,
});
const pack = (value: unknown): Buffer => Buffer.from(packr.pack(value));
const read = (bytes: Uint8Array) => collect(readMsgpack([bytes]));
const arrayOf = (...elements: Buffer[]): Buffer =>
  Buffer.concat([Buffer.from([0x90 + elements.length]), ...elements]);

/** Items up to the error that ended the reading, and the error. */
async function readToError(stream: AsyncIterable<Uint8Array> | Iterable<Uint8Array>): Promise<unknown[]> {
  const items: unknown[] = [];
  try {
    for await (const batch of readMsgpack(stream)) items.push(...batch);
  } catch (error) {
    items.push((error as Error).message);
  }
  return items;
}

describe('readMsgpack', () => {
  it.each([0, 1, 15, 16, 70_000])('reads an array of %d', async (count) => {
    const items = await read(pack(Array.from({ length: count }, (_, number) => record(`@u${number}:x`))));
    expect(items).toHaveLength(count);
    items.forEach(({ line, change }, index) => {
      if (line !== index + 1 || change?.userId !== `@u${index}:x`) throw new Error(`item ${index} is wrong`);
    });
  });

  it('takes other keys of any kind, and names that are not ASCII', async () => {
    const element = { ...record('@ü:x'), content: { a: [1, -2.5, null, true, 2 ** 40, 'x'.repeat(300)] } };
    expect(await read(pack([element, { ...record('@b'), bytes: Buffer.alloc(9) }]))).toEqual([
      { line: 1, change: { userId: '@ü:x', roomId: '!r:x', joined: true } },
      { line: 2, change: { userId: '@b', roomId: '!r:x', joined: true } },
    ]);
  });

  const fixstr = (bytes: number[]): Buffer => Buffer.from([0xa0 + bytes.length, ...bytes]);
  const brokenName = Buffer.concat([
    Buffer.from([0x83]),
    pack('user_id'),
    fixstr([0x40, 0xff]),
    ...['room_id', '!r', 'membership', 'join'].map(pack),
  ]);
  const faults: [name: string, element: Buffer, fault: RegExp][] = [
    ['null', pack(null), /^expected an object/],
    ['a number', pack(7), /^expected an object/],
    ['what could be a record', Buffer.from([0x40]), /^expected an object/],
    ['a list', pack([record('@a')]), /^expected an object/],
    ['no user', pack({}), /^user_id must be a string/],
    ['bytes for a name', pack(record(Buffer.from('@a'))), /^user_id must be a string/],
    [
      'too long',
      pack({ ...record('@a'), rest: 'x'.repeat(changeBytesMax) }),
      /^the element is longer than 16384 bytes/,
    ],
    ['an extension', pack({ ...record('@a'), at: new Date(0) }), /^the element holds a msgpack extension/],
    ['record extension', Buffer.from([0xd4, 0x72, 0x40]), /^the element holds a msgpack extension/],
    ['broken UTF-8', brokenName, /^the element holds text that is not valid UTF-8/],
    ['a map as key', Buffer.from([0x81, 0x80, 0x01]), /./],
    [
      'depth',
      Buffer.concat([Buffer.from([0x81, 0xa1, 0x61]), Buffer.alloc(1000, 0x91), Buffer.from([0xc0])]),
      /^the element holds more than 1000 lists and maps/,
    ],
  ];
  it.each(faults)('%s is a fault of that element alone', async (_name, element, fault) => {
    const items = await read(arrayOf(element, pack(record('@b'))));
    expect(items).toEqual([
      { line: 1, fault: expect.stringMatching(fault) },
      { line: 2, change: { userId: '@b', roomId: '!r:x', joined: true } },
    ]);
  });

  const good = pack(record('@a'));
  const ends: [name: string, bytes: Buffer, whole: number, error: string][] = [
    ['empty', Buffer.alloc(0), 0, 'the body ends before the header of a msgpack array'],
    ['a cut header', Buffer.from([0xdd, 0, 0]), 0, 'the body ends before the header of a msgpack array'],
    ['no array', good, 0, 'the body is not a msgpack array of {"user_id","room_id","membership"}'],
    ['JSON', Buffer.from('[{}]'), 0, 'the body is not a msgpack array of {"user_id","room_id","membership"}'],
    [
      'a cut element',
      arrayOf(good, good).subarray(0, -1),
      1,
      'the array has 2 elements, but the body ends within element 2',
    ],
    [
      'too few',
      Buffer.concat([Buffer.from([0xdd, 0xff, 0xff, 0xff, 0xff]), good]),
      1,
      'the array has 4294967295 elements, but the body ends within element 2',
    ],
    ['too many', Buffer.concat([arrayOf(good), good]), 1, 'bytes follow the array of 1 elements'],
    ['0xc1', arrayOf(good, Buffer.from([0xc1]), good), 1, 'element 2 is not msgpack: it holds the byte 0xc1'],
  ];
  it.each(ends)('%s ends the reading with an error', async (_name, bytes, whole, error) => {
    // In single bytes, so that what is whole has surely been yielded before.
    const items = await readToError(Array.from(bytes, (byte) => Buffer.from([byte])));
    expect(items.at(-1)).toBe(error);
    expect(items).toHaveLength(whole + 1);
    await expect(read(bytes)).rejects.toThrow(error);
  });

  it('holds bounded memory for an element that does not end', async () => {
    const header = Buffer.from([0x91, 0xdb, 0xff, 0xff, 0xff, 0xff]);
    const piece = Buffer.alloc(65_536, 0x61);
    const endless = function* (): Generator<Uint8Array> {
      yield header;
      for (let count = 0; count < 5000; count++) yield piece;
    };
    expect(await readToError(endless())).toEqual([
      'the array has 1 elements, but the body ends within element 1',
    ]);
  });

  it('gives the same items however the bytes are cut', async () => {
    const name = fc.oneof(fc.string({ unit: anyCharacter }), fc.string({ minLength: 200, maxLength: 400 }));
    const element = fc.oneof(
      name.map((user) => pack(record(user))),
      fc.anything({ withTypedArray: false, withDate: false, withBigInt: false }).map((value) => {
        try {
          return pack({ value });
        } catch {
          return pack(null);
        }
      }),
      fc.nat(200).map((extra) => pack({ ...record('@a'), rest: 'y'.repeat(changeBytesMax - 100 + extra) })),
      fc.uint8Array({ minLength: 1, maxLength: 6 }).map((bytes) => Buffer.from(bytes)),
    );
    const body = fc.array(element, { maxLength: 9 }).map((elements) => arrayOf(...elements));
    const cut = body.chain((whole) => fc.tuple(fc.constant(whole), cuts(whole.length)));
    await fc.assert(
      fc.asyncProperty(cut, async ([whole, places]) => {
        const pieces = await readToError(inPieces(whole, places));
        const atOnce = await readToError([whole]);
        // An error in the same piece comes before the batch of that piece is out.
        expect(pieces.at(-1)).toEqual(atOnce.at(-1));
        if (typeof atOnce.at(-1) !== 'string') expect(pieces).toEqual(atOnce);
      }),
      { numRuns: 500 },
    );
  });
});
