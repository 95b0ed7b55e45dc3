/** Is every shard in which a user may have rooms named, for any number of shards? */
import { expect, test } from 'vitest';
import type { UserNo } from '../../src/base/ids.js';
import { UserShards } from '../../src/engine/user-shards.js';
import { seededRandom } from '../model/random.js';

const userNos = [0, 1, 65_535, 65_536, 300_000] as UserNo[];

test.each([1, 2, 3, 7, 8, 9, 16, 63, 64])('%i shards against sets', (shardCount) => {
  const random = seededRandom(shardCount);
  const shards = new UserShards(shardCount);
  const oracle = new Map(userNos.map((user) => [user, new Set<number>()]));
  const all = Array.from({ length: shardCount }, (_, shard) => shard);
  const named = (bits: number): number[] => all.filter((shard) => shards.has(bits, shard));
  for (let step = 0; step < 400; step += 1) {
    const user = userNos[random(userNos.length)];
    if (random(12) === 0) {
      shards.clear(user);
      oracle.get(user)!.clear();
    } else {
      const shard = random(shardCount);
      shards.add(user, shard);
      oracle.get(user)!.add(shard);
    }
    const [left, right] = [userNos[random(userNos.length)], user];
    const may = named(shards.shared([left, right]));
    for (const shard of oracle.get(left)!)
      if (oracle.get(right)!.has(shard) && !may.includes(shard)) expect.fail(`shard ${shard} is missing`);
    for (const shard of all) {
      const places = [...shards.whoMayBeIn(shard, userNos)];
      for (const [place, other] of userNos.entries())
        if (oracle.get(other)!.has(shard)) expect(places).toContain(place);
    }
    // Exact while every shard has a bit of its own; one shard has everybody.
    if (shardCount > 1 && shardCount <= 8)
      expect(named(shards.of(user))).toEqual([...oracle.get(user)!].sort((a, b) => a - b));
  }
  expect(named(shards.of(4_000_000))).toEqual(shardCount === 1 ? [0] : []);
  expect(shards.bytes).toBe(shardCount === 1 ? 0 : 5 * 65_536);
});
