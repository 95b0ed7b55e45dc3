/** Does the inline shard keep the contract, refuse what is no question, and fail whole when changes cannot be made? */
import { expect, test, vi } from 'vitest';
import { partitionRanges, type UserNo } from '../../src/base/ids.js';
import { roomInterner } from '../../src/directory/interner.js';
import { changeWord } from '../../src/log/changes.js';
import { InlineShard } from '../../src/shard/inline-shard.js';
import { RoomSums } from '../../src/shard/room-sums.js';
import { pageQuestion } from '../../src/shard/wire.js';
import { describeLoadedShard, describeShard } from '../contract/shard-contract.js';
import { breakAfter } from './broken-changes.js';

const [everything] = partitionRanges(1);

describeShard('InlineShard', async (options) => new InlineShard(options));
describeLoadedShard('InlineShard', async (options) => new InlineShard(options));

test.each([
  ['an unknown kind', [7, 7, 7]],
  ['a page that ends too early', [1, 0, 10, 0, 3, 1]],
  ['a page of no users', [1, 0, 10, 0, 0]],
  ['a page of too many rooms', [1, 0, 10_001, 0, 1, 1]],
  ['others that are missing', [2, 1, 5, 1]],
])('a question with %s is our own fault', async (_, words) => {
  const shard = new InlineShard({ partitions: everything, names: roomInterner().names });
  await expect(shard.ask(Uint32Array.from(words))).rejects.toMatchObject({ name: 'AssertionError' });
});

test('changes that fail in the middle: no part of them is ever answered, and it is told once', async () => {
  const rooms = roomInterner();
  const onFailure = vi.fn();
  const shard = new InlineShard({ partitions: everything, names: rooms.names, onFailure });
  const alice = 1 as UserNo;
  const list = Array.from({ length: 10 }, (_, index) => rooms.intern(`!${index}:x`));
  const changes = Uint32Array.from(list.flatMap((room) => [alice, changeWord(room, true)]));
  expect(await shard.follow(1, changes.slice(0, 4))).toBe(2);
  breakAfter(3);
  await expect(shard.follow(2, changes)).rejects.toMatchObject({
    code: 'UNAVAILABLE',
    retryAfterSeconds: 30,
  });
  expect(shard.failure).toContain('no memory for a set');
  expect(onFailure.mock.calls).toEqual([[shard.failure]]);
  const question = pageQuestion([alice], 0, 10, false);
  const calls = [
    async () => shard.ask(question),
    async () => shard.askNow(question),
    async () => shard.follow(2, changes),
    async () => shard.follow(3, new Uint32Array(0)),
    async () => shard.list(0, 10),
    async () => shard.sum(1, Int32Array.of(1), RoomSums.of(rooms.names)),
    async () => shard.members(0),
    async () => shard.stats(),
  ];
  for (let round = 0; round < 2; round += 1)
    for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  await shard.close();
  expect(onFailure).toHaveBeenCalledOnce();
});
