/**
 * What does a question by names cost, in process, against `Map<string, Set<string>>`? Two look-ups, an intersection, room
 * IDs out; the same pairs, the same answers.
 *
 * How to read it: the Map keeps its strings on the heap, so it answers with strings that it already has, and we make them.
 */
import { MembershipIndex } from '#dist/engine/membership-index';
import { compare, printTable, ratioCells, seededRandom, type RunOptions } from './harness.js';
import { noteTimings } from './verdict.js';

const pairsPerRun = 2_000;

class Naive {
  readonly #rooms = new Map<string, Set<string>>();

  join(userId: string, roomId: string): void {
    let rooms = this.#rooms.get(userId);
    if (rooms === undefined) this.#rooms.set(userId, (rooms = new Set()));
    rooms.add(roomId);
  }

  mutual(userId: string, otherId: string): string[] {
    const [small, large] = [
      this.#rooms.get(userId) ?? new Set(),
      this.#rooms.get(otherId) ?? new Set<string>(),
    ].sort((left, right) => left.size - right.size);
    return [...small].filter((room) => large.has(room));
  }
}

/** Users with `size` rooms each, of which neighbours share about half. */
function fill(users: number, size: number, join: (userId: string, roomId: string) => unknown): void {
  for (let user = 0; user < users; user += 1) {
    for (let index = 0; index < size; index += 1) {
      join(`@user${user}:example.org`, `!room${((user * size) >> 1) + index}abcdefgh:example.org`);
    }
  }
}

export function run({ smoke }: RunOptions): void {
  const users = smoke ? 1_000 : 20_000;
  const timeMs = smoke ? 50 : 1_000;
  const mutual: string[][] = [];
  const shares: string[][] = [];
  for (const size of smoke ? [10] : [3, 10, 100, 1_000]) {
    const population = Math.min(users, Math.floor(4_000_000 / size));
    const ours = new MembershipIndex();
    const naive = new Naive();
    fill(population, size, (userId, roomId) => ours.join(userId, roomId));
    fill(population, size, (userId, roomId) => naive.join(userId, roomId));
    const random = seededRandom(size);
    const pairs = Array.from({ length: pairsPerRun }, () => {
      const user = random(population - 1);
      return [`@user${user}:example.org`, `@user${user + 1}:example.org`] as const;
    });
    const total = (count: (userId: string, otherId: string) => number): number =>
      pairs.reduce((sum, [userId, otherId]) => sum + count(userId, otherId), 0);
    const listed = compare(
      [
        {
          name: 'this index',
          run: () => total((userId, otherId) => ours.mutual([userId, otherId]).rooms.length),
        },
        {
          name: 'a JS Map of Sets',
          run: () => total((userId, otherId) => naive.mutual(userId, otherId).length),
        },
      ],
      pairsPerRun,
      timeMs,
    );
    noteTimings(`listing the rooms that two users of ${size} share, by names`, listed.timings);
    mutual.push([`${size} rooms each`, ...ratioCells(listed)]);
    const yesNo = compare(
      [
        { name: 'this index', run: () => total((userId, otherId) => Number(ours.shares(userId, otherId))) },
        {
          name: 'a JS Map of Sets',
          run: () => total((userId, otherId) => Number(naive.mutual(userId, otherId).length > 0)),
        },
      ],
      pairsPerRun,
      timeMs,
    );
    noteTimings(`saying whether two users of ${size} rooms share one, by names`, yesNo.timings);
    shares.push([`${size} rooms each`, ...ratioCells(yesNo)]);
  }
  const header = ['', 'index', 'Map of Sets', 'checksum'];
  printTable('Mutual rooms of two users by names, all IDs', header, mutual);
  printTable('Do two users share a room, by names', header, shares);
}
