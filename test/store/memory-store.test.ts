/** Is the store of those who keep nothing a store like any other while it lives? */
import { expect, test } from 'vitest';
import { MemoryStore } from '../../src/store/memory-store.js';
import { describeStore } from '../contract/store-contract.js';

describeStore('in memory', async () => new MemoryStore());

test('there is no file to load from, and nothing grows', () => {
  expect(new MemoryStore()).toMatchObject({ path: undefined, bytes: 0 });
});
