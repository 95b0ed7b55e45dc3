import fc from 'fast-check';
import { describe, expect, it } from 'vitest';
import { changeBytesMax } from '../../src/source/formats/bounds.js';
import { readNdjson } from '../../src/source/formats/ndjson.js';
import { collect, cuts, inPieces } from './pieces.js';
import { anyCharacter } from '../model/any-character.js';

const read = (text: string | Buffer) => collect(readNdjson([Buffer.from(text as string)]));
const line = (user: string, room = '!r:x', membership = 'join') =>
  JSON.stringify({ user_id: user, room_id: room, membership });

describe('readNdjson', () => {
  it('reads changes', async () => {
    expect(await read(`${line('@a:x')}\n\n${line('@b:x', '!s', 'ban')}`)).toEqual([
      { line: 1, change: { userId: '@a:x', roomId: '!r:x', joined: true } },
      { line: 3, change: { userId: '@b:x', roomId: '!s', joined: false } },
    ]);
  });

  const faults: [name: string, text: string | Buffer, fault: RegExp][] = [
    ['not JSON', 'nonsense', /^the line is not JSON: /],
    ['cut JSON', '{"user_id":', /^the line is not JSON: /],
    ['an array around it', `[${line('@a:x')},`, /NDJSON is one object a line, without an array around them/],
    ['no object', '3', /^expected an object/],
    ['a list', '[]', /^expected an object/],
    ['no user', '{"room_id":"!r","membership":"join"}', /^user_id must be a string/],
    ['an empty room', line('@a:x', ''), /^room_id must not be empty/],
    ['a long user', line('@'.repeat(1025)), /^user_id is longer than 1024 bytes/],
    ['half a surrogate pair', '{"user_id":"\\ud800","room_id":"!r","membership":"join"}', /surrogate/],
    ['another membership', line('@a:x', '!r', 'joined'), /^membership must be one of join, leave/],
    [
      'broken UTF-8',
      Buffer.concat([Buffer.from('{"a":"'), Buffer.from([0xff]), Buffer.from('"}')]),
      /not valid UTF-8/,
    ],
    ['too long', ' '.repeat(changeBytesMax + 1), /^the line is longer than 16384 bytes/],
  ];
  it.each(faults)('%s is a fault of that line alone', async (_name, text, fault) => {
    const good = Buffer.from(line('@a:x'));
    const items = await read(Buffer.concat([Buffer.from(text as string), Buffer.from('\n'), good]));
    expect(items).toHaveLength(2);
    expect(items[0]).toEqual({ line: 1, fault: expect.stringMatching(fault) });
    expect(items[1].change?.userId).toBe('@a:x');
  });

  it('gives the same items however the bytes are cut', async () => {
    const text = fc.oneof(
      fc.string({ unit: anyCharacter }).map((user) => line(user)),
      fc.string(),
      fc.constant(''),
    );
    const body = fc.array(text, { maxLength: 12 }).map((lines) => Buffer.from(lines.join('\n')));
    const cut = body.chain((whole) => fc.tuple(fc.constant(whole), cuts(whole.length)));
    await fc.assert(
      fc.asyncProperty(cut, async ([whole, places]) => {
        expect(await collect(readNdjson(inPieces(whole, places)))).toEqual(
          await collect(readNdjson([whole])),
        );
      }),
      { numRuns: 500 },
    );
  });
});
