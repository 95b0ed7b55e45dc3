/** PostgreSQL's `hashtext`: values that PostgreSQL 15 gave. The feed compares some with the real server when it connects. */
import { expect, test } from 'vitest';
import { hashText } from '../../../src/source/synapse/database/room-hash.js';

test.each([
  ['', -1477818771],
  ['a', 1075015857],
  ['@bob:example.org', 290369609],
  ['exactly12byt', 804910449],
  ['ä🎉', 1317888378],
  ['@somebody-with-a-long-name:matrix.example.org', -1612049541],
  ['é'.repeat(600), 154539863],
])('of %j', (text, hash) => {
  expect(hashText(text)).toBe(hash);
});
