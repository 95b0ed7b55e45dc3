/** Are the members of each room what a naive count says, over any number of shards, however they came and went? */
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { loadEngine, openEngine, type Engine } from '../../src/engine/engine.js';
import { countMembers, membersOf, sumRooms } from '../../src/engine/members.js';
import { numberChanges } from '../../src/engine/numbering.js';
import { Ingest } from '../../src/ingest/ingest.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { seededRandom } from '../model/random.js';
import { ids, newFolder } from '../store/kept-store.js';

const users = ids('@', 'user', 50);
const rooms = ids('!', 'room', 900);

/** Who is in which room: the plainest way to count. */
class Model {
  readonly members = new Map<string, Set<string>>(rooms.map((roomId) => [roomId, new Set()]));

  apply(changes: readonly Change[]): void {
    for (const { userId, roomId, joined } of changes) {
      if (joined) this.members.get(roomId)!.add(userId);
      else this.members.get(roomId)!.delete(userId);
    }
  }
}

async function expectCounts(engine: Engine, { members }: Model): Promise<void> {
  const counts = await countMembers(engine);
  for (const [roomId, those] of members)
    if (counts.countOf(roomId) !== those.size)
      expect.fail(`${roomId}: ${counts.countOf(roomId)}, not ${those.size}`);
  const inhabited = [...members].filter(([, { size }]) => size > 0).map(([roomId]) => roomId);
  expect([...counts.roomIds()].toSorted()).toEqual(inhabited.toSorted());
  expect(counts.countOf('!unknown:x')).toBe(0);
}

function drawn(random: (end: number) => number, round: number): Change[] {
  return Array.from({ length: 1500 }, () => ({
    userId: users[random(users.length)],
    // More rooms with each round, and rooms that everybody leaves.
    roomId: rooms[random(Math.min(rooms.length, 150 * (round + 1)))],
    joined: random(5) > (round % 3 === 2 ? 3 : 1),
  }));
}

describe.each([0, 1, 3])('%i shards', (shards) => {
  test('after any changes, and after a start with what a store holds', async () => {
    const random = seededRandom(40 + shards);
    const model = new Model();
    const directory = newFolder();
    for (let start = 0; start < 3; start += 1) {
      const store = await LmdbStore.open({ directory, limits: { recentChangesMax: 2048 } });
      const engine = await loadEngine(store, { shards, onProgress: () => undefined });
      const close = async (): Promise<void> => {
        await engine.shards.close();
        await store.close();
      };
      onTestFinished(close);
      await expectCounts(engine, model);
      const ingest = new Ingest(engine, store);
      for (let round = 0; round < 6; round += 1) {
        const changes = drawn(random, round + start);
        model.apply(changes);
        await ingest.apply(changes);
        await expectCounts(engine, model);
      }
      const leaves = [...model.members.get(rooms[5])!].map((userId) => ({
        userId,
        roomId: rooms[5],
        joined: false,
      }));
      model.apply(leaves);
      await ingest.apply(leaves);
      await expectCounts(engine, model);
      await close();
    }
  });

  test('a room that got its name since has nobody', async () => {
    const engine = await openEngine({ shards });
    onTestFinished(async () => engine.shards.close());
    const counts = await countMembers(engine);
    const changes = rooms.map((roomId) => ({ userId: users[0], roomId, joined: true }));
    await engine.shards.follow(1, await numberChanges(engine.directory, changes));
    for (const roomId of rooms) expect(counts.countOf(roomId)).toBe(0);
    expect([...counts.roomIds()]).toEqual([]);
  });

  test('is what the sets say when they are counted anew', async () => {
    const engine = await openEngine({ shards });
    onTestFinished(async () => engine.shards.close());
    const random = seededRandom(9);
    for (let number = 1; number <= 4; number += 1)
      await engine.shards.follow(number, await numberChanges(engine.directory, drawn(random, number)));
    const counts = await countMembers(engine);
    const sums = await sumRooms(engine);
    const asked = rooms.slice(0, 40);
    const members = await membersOf(engine, asked);
    for (const roomId of rooms) expect(sums.take(roomId).count).toBe(counts.countOf(roomId));
    for (const roomId of asked) expect(members.get(roomId)?.length ?? 0).toBe(counts.countOf(roomId));
  });
});
