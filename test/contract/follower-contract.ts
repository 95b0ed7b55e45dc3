/** What everything that follows the log must do: hold what the commits up to a number say, wherever it began. */
import { describe, expect, test } from 'vitest';
import { changeWord, sliceOfChanges } from '../../src/log/changes.js';
import type { RoomNo } from '../../src/base/ids.js';
import type { Follower } from '../../src/log/commit.js';
import { seededRandom } from '../model/random.js';
import { KeptStore, joins, leaves, newFolder } from '../store/kept-store.js';

export interface OpenedFollower {
  readonly follower: Follower;
  /** Who is joined where, as "user room" in numbers, sorted. */
  memberships(): Promise<string[]>;
}

/**
 * @param path of a store that it is loaded from; without it, it is empty
 * @returns one that ends with the test
 */
export type OpenFollower = (path?: string) => Promise<OpenedFollower>;

/** A log: the changes of each commit, the first one at 0, and what they come to. */
class Log {
  readonly commits: Uint32Array[] = [];
  readonly #states: Set<string>[] = [new Set()];

  append(changes: Uint32Array): void {
    const state = new Set(this.#states.at(-1));
    for (let at = 0; at < changes.length; at += 2) {
      const pair = `${changes[at]} ${changes[at + 1] >>> 1}`;
      if ((changes[at + 1] & 1) === 1) state.add(pair);
      else state.delete(pair);
    }
    this.commits.push(changes);
    this.#states.push(state);
  }

  stateAt(number: number): string[] {
    return [...this.#states[number]].toSorted();
  }
}

/** Few users and rooms, so that changes undo each other; rooms of all partitions. */
function anyChanges(random: (end: number) => number, count: number): Uint32Array {
  return Uint32Array.from({ length: count }).map((_, index) =>
    index % 2 === 0 ? 1 + random(20) : changeWord(((random(64) << 25) + random(3)) as RoomNo, random(3) > 0),
  );
}

/** A log of random commits, some of them empty, some longer than a slice. */
function anyLog(seed: number, count: number): Log {
  const random = seededRandom(seed);
  const log = new Log();
  for (let commit = 0; commit < count; commit += 1)
    log.append(anyChanges(random, [0, 2, 2, 20, 1400][random(5)]));
  return log;
}

export function describeFollower(name: string, open: OpenFollower): void {
  describe(`${name}: the contract of followers`, () => {
    test('an empty one takes commits from the first one on, whole or in parts, without waiting', async () => {
      const { follower, memberships } = await open();
      expect(follower.from).toBe(1);
      const log = anyLog(1, 40);
      const random = seededRandom(2);
      const followed: Promise<number>[] = [];
      for (const [index, changes] of log.commits.entries()) {
        const middle = random(changes.length / 2 + 1);
        followed.push(
          follower.follow(index + 1, sliceOfChanges(changes, 0, middle)),
          follower.follow(index + 1, sliceOfChanges(changes, middle, changes.length / 2)),
        );
      }
      await Promise.all(followed);
      expect(await memberships()).toEqual(log.stateAt(40));
    });

    test('it says how many changes changed anything', async () => {
      const { follower } = await open();
      const [join, leave] = [true, false].map((joined) => Uint32Array.of(1, changeWord(5 as RoomNo, joined)));
      expect(await follower.follow(1, join)).toBe(1);
      expect(await follower.follow(2, join)).toBe(0);
      expect(await follower.follow(3, new Uint32Array(0))).toBe(0);
      expect(await follower.follow(4, leave)).toBe(1);
    });

    test('one that is loaded goes on from the next commit, and passes over those that it has', async () => {
      const directory = newFolder();
      const kept = await KeptStore.open(directory);
      const random = seededRandom(3);
      const log = new Log();
      for (let number = 1; number <= 30; number += 1) {
        const changes = Array.from({ length: random(6) }, () => {
          const pair = [`@${random(8)}:x`, `!${random(40)}:x`] as const;
          return random(3) > 0 ? joins(...pair) : leaves(...pair);
        });
        await kept.commit(changes);
        log.append(kept.words(changes));
        if (number % 10 !== 0) continue;
        const { follower, memberships } = await open(kept.path);
        expect(follower.from).toBe(number + 1);
        expect(await memberships()).toEqual(log.stateAt(number));
        // Those that are below would undo what came after them.
        for (const [index, earlier] of log.commits.entries())
          expect(await follower.follow(index + 1, earlier)).toBe(0);
        expect(await memberships()).toEqual(log.stateAt(number));
        const next = new Log();
        for (const each of log.commits) next.append(each);
        next.append(kept.words([joins('@7:x', '!39:x'), joins('@0:x', '!39:x')]));
        await follower.follow(number + 1, next.commits[number]);
        expect(await memberships()).toEqual(next.stateAt(number + 1));
      }
      await kept.close();
    });
  });
}
