/**
 * Any character of Unicode, as a unit of `fc.string`: every code point but surrogates, which stand for no character alone.
 * fast-check's own `unit: 'binary'` gives the same ones, and builds a table of all of them first: a second in each process.
 */
import fc from 'fast-check';

const surrogatesStart = 0xd800;
const surrogateCount = 0x800;

export const anyCharacter = fc
  .nat({ max: 0x10ffff - surrogateCount })
  .map((index) => String.fromCodePoint(index < surrogatesStart ? index : index + surrogateCount));
