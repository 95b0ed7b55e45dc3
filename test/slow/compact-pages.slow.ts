/** Do pages go on over compactions: is every room there exactly once, whatever was dropped between two pages? */
import { expect, test } from 'vitest';
import { compactStore } from '../../src/store/compact.js';
import { loadEngine } from '../../src/engine/engine.js';
import { PageTokens } from '../../src/engine/page-token.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { addTo, allIn, ids, leaves, storeOf } from '../store/kept-store.js';

const alice = '@alice:example.org';
const bob = '@bob:example.org';
const binding = { purpose: 'mutual', userId: alice, otherId: bob };

/** One page by a server that is started for it. @returns its rooms, how many are shared in all, and the next token */
async function pageOf(
  directory: string,
  token: string | undefined,
  limit: number,
  shards: number,
): Promise<{ rooms: string[]; count: number; next: string | undefined }> {
  const store = await LmdbStore.open({ directory });
  const engine = await loadEngine(store, { shards, onProgress: () => undefined });
  try {
    const tokens = new PageTokens({ identity: store.identity });
    const start = token === undefined ? 0 : tokens.open(token, binding);
    const { json, count, nextStart } = await engine.answerer.mutualPage([alice, bob], start, limit);
    return {
      rooms: JSON.parse(`[${Buffer.from(json).toString()}]`) as string[],
      count,
      next: nextStart === undefined ? undefined : tokens.seal(nextStart, binding),
    };
  } finally {
    await engine.shards.close();
    await store.close();
  }
}

test.each([
  [0, 1],
  [1, 1],
  [2, 2],
  [3, 0],
])('%i compactions between two pages, %i more behind them', { timeout: 120_000 }, async (between, behind) => {
  const kept = ids('!', 'kept', 90);
  const dropped = ids('!', 'dropped', 120);
  const directory = await storeOf(
    // Numbers of rooms that are dropped lie between those that stay.
    kept.flatMap((room, index) => allIn([alice, bob, '@carol:x'], [room, dropped[index]])),
    allIn(['@carol:x'], dropped.slice(90)),
  );
  await addTo(
    directory,
    dropped.flatMap((room) => [alice, bob, '@carol:x'].map((user) => leaves(user, room))),
  );
  const seen: string[] = [];
  let token: string | undefined;
  for (let page = 0; ; page += 1) {
    const { rooms, count, next } = await pageOf(directory, token, 17, page === 2 ? 2 : 0);
    expect(count).toBe(90);
    seen.push(...rooms);
    if (next === undefined) break;
    token = next;
    const compactions = page === 0 ? between : page === 1 ? behind : 0;
    for (let round = 0; round < compactions; round += 1) {
      // What comes and goes meanwhile moves no room.
      await addTo(directory, allIn(['@dave:x'], ids('!', `new${page}-${round}-`, 40)));
      await addTo(
        directory,
        ids('!', `new${page}-${round}-`, 40).map((room) => leaves('@dave:x', room)),
      );
      await compactStore({ directory });
    }
  }
  expect(seen.toSorted()).toEqual(kept.toSorted());
});

test('a token whose next room is dropped goes on at the room behind it, and none is left out', async () => {
  const rooms = ids('!', 'room', 60);
  const directory = await storeOf(allIn([alice, bob], rooms));
  const first = await pageOf(directory, undefined, 10, 0);
  const second = await pageOf(directory, first.next, 10, 0);
  // All of what would have been the second page, and one of the first.
  const gone = [...second.rooms, first.rooms[3]];
  await addTo(
    directory,
    gone.flatMap((room) => [leaves(alice, room), leaves(bob, room)]),
  );
  await compactStore({ directory });
  const seen = [...first.rooms];
  for (let token = first.next; token !== undefined;) {
    const page = await pageOf(directory, token, 10, 0);
    seen.push(...page.rooms);
    token = page.next;
  }
  expect(seen.toSorted()).toEqual(rooms.filter((room) => !second.rooms.includes(room)).toSorted());
});

test('a token opens no longer than it would have, compaction or not', async () => {
  const directory = await storeOf(allIn([alice, bob], ids('!', 'room', 30)));
  const { next } = await pageOf(directory, undefined, 10, 0);
  // The clock of the compactions is far behind the one of the tokens: the numbering is forgotten.
  const at = (ms: number) => ({ nowMs: () => ms, monotonicMs: () => ms });
  await compactStore({ directory, clock: at(0) });
  await expect(pageOf(directory, next, 10, 0)).resolves.toMatchObject({ count: 30 });
  await compactStore({ directory, clock: at(3_600_000) });
  await expect(pageOf(directory, next, 10, 0)).rejects.toThrow(/has expired/);
});
