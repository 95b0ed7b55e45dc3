/** Rows of COPY, however the stream cuts them. */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import { CopyRows } from '../../../src/source/synapse/database/copy-rows.js';
import { anyCharacter } from '../../model/any-character.js';

/** As PostgreSQL writes a column. */
function escaped(text: string): string {
  return text.replace(/[\\\b\f\n\r\t\v]/g, (character) => {
    const letter = { '\\': '\\', '\b': 'b', '\f': 'f', '\n': 'n', '\r': 'r', '\t': 't', '\v': 'v' }[
      character
    ];
    return `\\${letter}`;
  });
}

test('every name comes back, wherever the pieces end', () => {
  const name = fc.oneof(
    fc.string({ unit: anyCharacter, minLength: 1 }),
    fc.string({ unit: fc.constantFrom('\\', '\t', '\n', 'n', 't', 'N', 'ä', '🎉') }),
  );
  const row = fc.record({ roomId: name, userId: name, joined: fc.boolean() });
  fc.assert(
    fc.property(fc.array(row), fc.array(fc.nat()), (rows, cuts) => {
      const bytes = Buffer.from(
        rows
          .map(
            ({ roomId, userId, joined }) =>
              `${escaped(roomId)}\t${escaped(userId)}\t${joined ? 't' : '\\N'}\n`,
          )
          .join(''),
      );
      const ends = [...cuts.map((cut) => cut % (bytes.length + 1)), bytes.length].sort((a, b) => a - b);
      const reader = new CopyRows();
      let from = 0;
      const read = ends.flatMap((end) => {
        const piece = bytes.subarray(from, end);
        from = end;
        return reader.read(piece);
      });
      reader.end();
      expect(read).toEqual(rows);
    }),
  );
});

test('what is not three columns, or ends within a row, is refused', () => {
  expect(() => new CopyRows().read(Buffer.from('!a:x\t@b:x\n'))).toThrow('three columns');
  const reader = new CopyRows();
  expect(reader.read(Buffer.from('!a:x\t@b:x\tt\n!c'))).toHaveLength(1);
  expect(() => reader.end()).toThrow('within a row');
});
