/** Does the inline shard keep the contract, and refuse what is no question? */
import { expect, test } from 'vitest';
import { partitionRanges } from '../../src/base/ids.js';
import { roomInterner } from '../../src/directory/interner.js';
import { InlineShard } from '../../src/shard/inline-shard.js';
import { describeShard } from '../contract/shard-contract.js';

const [everything] = partitionRanges(1);

describeShard('InlineShard', async (names) => new InlineShard(everything, names));

test.each([
  ['an unknown kind', [7, 7, 7]],
  ['a page that ends too early', [1, 0, 10, 0, 3, 1]],
  ['a page of no users', [1, 0, 10, 0, 0]],
  ['a page of too many rooms', [1, 0, 10_001, 0, 1, 1]],
  ['others that are missing', [2, 1, 5, 1]],
])('a question with %s is our own fault', async (_, words) => {
  const shard = new InlineShard(everything, roomInterner().names);
  await expect(shard.ask(Uint32Array.from(words))).rejects.toMatchObject({ name: 'AssertionError' });
});
