/** Are the answers of shards put together to one page, and refused where they cannot be one (invariants I4, I6)? */
import { describe, expect, test } from 'vitest';
import { PageCall, type Page } from '../../src/engine/page.js';
import { SharesCall } from '../../src/engine/shares-call.js';
import type { Answers } from '../../src/shard/wire.js';

interface Part {
  readonly rooms: readonly number[];
  /** How many rooms there are beyond the start; those given when absent. */
  readonly beyond?: number;
  readonly below?: number;
}

/** One shard's answer, after `padding` words and bytes that belong to others. Rooms are spelled as their numbers. */
function answer(
  { rooms, beyond = rooms.length, below = 0 }: Part,
  padding = 3,
): { answers: Answers; at: number } {
  let json = 'x'.repeat(padding);
  const jsonStart = json.length;
  const pairs = rooms.flatMap((room, index) => {
    json += `${index > 0 ? ',' : ''}"${room}"`;
    return [room, json.length];
  });
  const numbers = [
    ...new Array<number>(padding).fill(99),
    below + beyond,
    beyond,
    rooms.length,
    jsonStart,
    ...pairs,
  ];
  const answers = { numbers: Uint32Array.from(numbers), json: Buffer.from(`${json},"others"`) };
  return { answers, at: padding };
}

async function pageOf(parts: readonly Part[], start = 0, limit = 100): Promise<Page> {
  const call = new PageCall(parts.length, start, limit);
  // The last shard first: slots, not the order in which answers come in, say where they belong.
  for (const [slot, part] of [...parts.entries()].reverse()) {
    const { answers, at } = answer(part, slot + 1);
    call.answer(slot, answers, at);
  }
  return call.page;
}

describe('a page', () => {
  test('is the rooms of all shards one after another', async () => {
    const page = await pageOf([{ rooms: [3, 8] }, { rooms: [] }, { rooms: [20, 21, 40] }]);
    expect(page).toMatchObject({ count: 5, rooms: Uint32Array.of(3, 8, 20, 21, 40), nextStart: undefined });
    expect(Buffer.from(page.json).toString()).toBe('"3","8","20","21","40"');
  });

  test('of one shard, of none that has any', async () => {
    const page = await pageOf([{ rooms: [7] }]);
    expect([[...page.rooms], Buffer.from(page.json).toString()]).toEqual([[7], '"7"']);
    const empty = await pageOf([{ rooms: [] }, { rooms: [] }]);
    expect(empty).toMatchObject({ count: 0, rooms: new Uint32Array(0), nextStart: undefined });
    expect(empty.json).toHaveLength(0);
  });

  test('stops at the limit, and says where the next one starts', async () => {
    const parts = [{ rooms: [3, 8] }, { rooms: [20, 21] }, { rooms: [40, 41] }];
    const nextStarts = [0, 4, 9, 21, 22, 41, undefined];
    for (const [limit, nextStart] of nextStarts.entries()) {
      const page = await pageOf(parts, 0, limit);
      const rooms = [3, 8, 20, 21, 40, 41].slice(0, limit);
      expect(page).toMatchObject({ count: 6, rooms: Uint32Array.from(rooms), nextStart });
      expect(Buffer.from(page.json).toString()).toBe(rooms.map((room) => `"${room}"`).join(','));
    }
  });

  test('counts what lies below its start and beyond its end', async () => {
    const parts = [
      { rooms: [], below: 4 },
      { rooms: [20, 21], below: 1, beyond: 9 },
      { rooms: [], beyond: 0 },
    ];
    expect(await pageOf(parts, 20, 2)).toMatchObject({
      count: 14,
      rooms: Uint32Array.of(20, 21),
      nextStart: 22,
    });
    expect(await pageOf(parts, 20, 0)).toMatchObject({ count: 14, rooms: new Uint32Array(0), nextStart: 20 });
  });

  test.each([
    ['the shards overlap', [{ rooms: [3, 8] }, { rooms: [8, 9] }], 0],
    ['the shards are out of order', [{ rooms: [20] }, { rooms: [3] }], 0],
    ['a shard does not ascend', [{ rooms: [8, 3] }], 0],
    ['a shard says a room twice', [{ rooms: [8, 8] }], 0],
    ['a room lies below the start', [{ rooms: [3, 8] }], 4],
  ])('is refused when %s', async (_, parts, start) => {
    await expect(pageOf(parts, start)).rejects.toMatchObject({ name: 'AssertionError' });
  });

  test('starts at its start', async () => {
    expect([...(await pageOf([{ rooms: [3, 8] }], 3)).rooms]).toEqual([3, 8]);
  });

  test('fails with the first failure, whatever answers come before and after', async () => {
    const call = new PageCall(3, 0, 10);
    const { answers, at } = answer({ rooms: [1] });
    call.answer(0, answers, at);
    call.fail(new Error('first'));
    call.fail(new Error('second'));
    call.answer(2, answers, at);
    await expect(call.page).rejects.toThrow('first');
  });
});

describe('shares', () => {
  const json = new Uint8Array(0);

  test('is true for whom any shard says it, word by word, at the place in the whole list', async () => {
    const call = new SharesCall(40);
    // The first shard is asked about all but the first five, the second one about four of all.
    const slots = [Uint32Array.from({ length: 35 }, (_, index) => index + 5), Uint32Array.of(0, 4, 5, 39)];
    expect(slots.map((places) => call.expect(places))).toEqual([0, 1]);
    const shared = call.allAsked();
    call.answer(1, { numbers: Uint32Array.of(9, 1, 0b1101), json }, 2);
    call.answer(0, { numbers: Uint32Array.of(2, 0b10 | 0x80000000, 0b100), json }, 1);
    const expected = new Array<boolean>(40).fill(false);
    for (const index of [0, 5, 39, 6, 36, 39]) expected[index] = true;
    expect(await shared).toEqual(expected);
  });

  test('is false for all when no shard needs to be asked', async () => {
    expect(await new SharesCall(3).allAsked()).toEqual([false, false, false]);
  });

  test('waits for every shard, also when one answers before all have been asked', async () => {
    const call = new SharesCall(2);
    call.answer(call.expect(Uint32Array.of(0)), { numbers: Uint32Array.of(1, 0), json }, 1);
    const slot = call.expect(Uint32Array.of(0, 1));
    let settled = false;
    const shared = call.allAsked().finally(() => (settled = true));
    await new Promise(setImmediate);
    expect(settled).toBe(false);
    call.answer(slot, { numbers: Uint32Array.of(1, 0b10), json }, 1);
    expect(await shared).toEqual([false, true]);
  });

  test('fails when one shard does', async () => {
    const call = new SharesCall(1);
    call.answer(call.expect(Uint32Array.of(0)), { numbers: Uint32Array.of(1, 1), json }, 1);
    call.fail(new Error('lost'));
    await expect(call.allAsked()).rejects.toThrow('lost');
  });
});
