/** Is every shard in which a user may have rooms named, for any number of shards? */
import { expect, test } from 'vitest';
import type { UserNo } from '../../src/base/ids.js';
import { UserShards } from '../../src/directory/user-shards.js';
import { seededRandom } from '../model/random.js';
import { runs } from '../runs.js';

const userNos = [0, 1, 65_535, 65_536, 300_000] as UserNo[];

test.each(runs([1, 3, 8, 9, 64], [1, 2, 3, 7, 8, 9, 16, 63, 64]))('%i shards against sets', (shardCount) => {
  const random = seededRandom(shardCount);
  const shards = new UserShards(shardCount);
  const oracle = new Map(userNos.map((user) => [user, new Set<number>()]));
  const all = Array.from({ length: shardCount }, (_, shard) => shard);
  const named = (bits: number): number[] => all.filter((shard) => shards.has(bits, shard));
  for (let step = 0; step < 400; step += 1) {
    const user = userNos[random(userNos.length)];
    const shard = random(shardCount);
    shards.add(user, shard);
    oracle.get(user)!.add(shard);
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

test.each(runs([1, 3, 9, 64], [1, 2, 3, 8, 9, 64]))(
  '%i shards: many users at once are as one after another',
  (shardCount) => {
    const random = seededRandom(shardCount * 7);
    const [together, alone] = [new UserShards(shardCount), new UserShards(shardCount)];
    /** Beyond the words that some shards give: chunks and words with gaps, and the bits at both ends of a word. */
    const users = [0, 1, 31, 32, 63, 64, 65_535, 65_536, 65_567, 200_000].concat(
      Array.from({ length: 300 }, () => random(200_001)),
    ) as UserNo[];
    for (let shard = 0; shard < shardCount; shard += 1) {
      const here = users.filter((user) => random(3) === 0 && (shard % 2 === 0 || user < 1000));
      const words = new Uint32Array(((Math.max(0, ...here) + 32) >>> 5) + random(3));
      for (const user of here) {
        words[user >>> 5] |= 1 << (user & 31);
        alone.add(user, shard);
      }
      together.addAll(words, shard);
    }
    together.addAll(new Uint32Array(0), 0);
    for (let user = 0; user <= 200_032; user += 1)
      if (together.of(user) !== alone.of(user))
        expect.fail(`user ${user}: ${together.of(user)}, ${alone.of(user)}`);
    if (shardCount > 1) expect(users.some((user) => alone.of(user) !== 0)).toBe(true);
  },
);
