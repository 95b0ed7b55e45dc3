/** Does a reader let the event loop go round, whatever comes in? By a clock that each look moves, so in the same places each time. */
import { Packr } from 'msgpackr';
import { describe, expect, test } from 'vitest';
import { Turns } from '../../src/base/turns.js';
import { readMsgpack } from '../../src/source/formats/msgpack.js';
import { readNdjson } from '../../src/source/formats/ndjson.js';
import type { ByteStream, SourceItem } from '../../src/source/formats/items.js';
import { turnsTakenBy } from '../base/turns-taken.js';
import { collect } from './pieces.js';

/** Every look at the clock finds the time of the turn over. */
function hastyTurns(): Turns {
  let ms = 0;
  return new Turns({ nowMs: () => ms, monotonicMs: () => (ms += 10) });
}

type Reader = (stream: ByteStream, turns: Turns) => AsyncGenerator<SourceItem[], void, undefined>;

const packr = new Packr({ useRecords: false });
const record = { user_id: '@a:x', room_id: '!r:x', membership: 'join' };

function arrayOf(count: number, element: Buffer): Buffer {
  const header = Buffer.from([0xdd, 0, 0, 0, 0]);
  header.writeUInt32BE(count, 1);
  return Buffer.concat([header, ...Array.from({ length: count }, () => element)]);
}

const linesOf = (count: number, line: string): Buffer => Buffer.from(`${line}\n`.repeat(count));
const long = 'x'.repeat(16_000);

/** In one piece each. */
const bodies: [name: string, read: Reader, body: Buffer][] = [
  ['msgpack: nil', readMsgpack, arrayOf(10_000, Buffer.from([0xc0]))],
  ['msgpack: empty maps', readMsgpack, arrayOf(10_000, Buffer.from([0x80]))],
  ['msgpack: a map as key', readMsgpack, arrayOf(10_000, Buffer.from([0x81, 0x80, 0x01]))],
  ['msgpack: memberships', readMsgpack, arrayOf(10_000, Buffer.from(packr.pack(record)))],
  ['msgpack: long ones', readMsgpack, arrayOf(500, Buffer.from(packr.pack({ ...record, long })))],
  ['NDJSON: numbers', readNdjson, linesOf(10_000, '1')],
  ['NDJSON: no JSON', readNdjson, linesOf(10_000, '{x}')],
  ['NDJSON: blank lines', readNdjson, linesOf(10_000, '')],
  ['NDJSON: memberships', readNdjson, linesOf(10_000, JSON.stringify(record))],
  ['NDJSON: long ones', readNdjson, linesOf(500, JSON.stringify({ ...record, long }))],
  ['NDJSON: lines that are too long', readNdjson, linesOf(500, long + long)],
];

describe('the event loop goes round', () => {
  test.each(bodies)('%s', async (_name, read, body) => {
    const taken = await turnsTakenBy(collect(read([body], hastyTurns())));
    expect(taken).toBeGreaterThan(250);
  });

  test.each([
    ['msgpack', readMsgpack, Buffer.from([0x91, 0xc6, 0, 0, 0xff, 0xff])],
    ['NDJSON', readNdjson, Buffer.from('"')],
  ] as [string, Reader, Buffer][])('%s: a long element in pieces of one byte', async (_name, read, start) => {
    const pieces = [start, ...Array.from({ length: 20_000 }, () => Buffer.from([0x20]))];
    const taken = await turnsTakenBy(collect(read(pieces, hastyTurns())).catch(() => undefined));
    expect(taken).toBeGreaterThan(250);
  });
});
