/** What every shard must do, inline or in a thread: what it is told it answers, in order, whole, or not at all. */
import { afterEach, beforeEach, describe, expect, onTestFinished, test } from 'vitest';
import {
  firstRoomOf,
  nobody,
  partitionCount,
  partitionOf,
  partitionRanges,
  type RoomNo,
  type UserNo,
} from '../../src/base/ids.js';
import { roomsPerPageMax } from '../../src/base/limits.js';
import type { Change } from '../../src/base/change.js';
import { Directory } from '../../src/directory/directory.js';
import type { Interner } from '../../src/directory/interner.js';
import { roomInterner } from '../../src/directory/interner.js';
import { packedCountMax } from '../../src/sets/thresholds.js';
import { RoomSums } from '../../src/shard/room-sums.js';
import type { Shard, ShardOptions } from '../../src/shard/shard.js';
import { changeWord } from '../../src/log/changes.js';
import { pageQuestion, sharesQuestion } from '../../src/shard/wire.js';
import { seededRandom } from '../model/random.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { NaiveIndex } from '../model/naive-index.js';
import { draftOf } from '../store/draft.js';
import { ids, newFolder } from '../store/kept-store.js';
import { AnswerReader, type PageAnswer } from '../shard/answer-reader.js';

export type OpenShard = (options: ShardOptions) => Promise<Shard>;

const [everything] = partitionRanges(1);

const [alice, bob, carol, dave] = [1, 2, 3, 4] as UserNo[];

function changes(user: UserNo, rooms: readonly RoomNo[], joined = true): Uint32Array {
  return Uint32Array.from(rooms.flatMap((room) => [user, changeWord(room, joined)]));
}

function joined(...questions: readonly Uint32Array[]): Uint32Array {
  return Uint32Array.from(questions.flatMap((question) => [...question]));
}

/** Asks for the members of all partitions. @param rooms all that anybody was ever in */
async function expectMembers(
  shard: Pick<Shard, 'members'>,
  rooms: readonly RoomNo[],
  countOf: (room: RoomNo) => number,
): Promise<void> {
  const expected = new Map(rooms.map((room) => [room as number, countOf(room)]));
  let beyond = 0;
  for (let partition = 0; partition < partitionCount; partition += 1) {
    const first = firstRoomOf(partition);
    for (const [sequence, count] of (await shard.members(partition)).entries()) {
      const room = first + sequence;
      if (expected.has(room)) {
        if (expected.get(room) !== count) expect.fail(`room ${room}: ${count}, not ${expected.get(room)}`);
        expected.delete(room);
      } else beyond += count;
    }
  }
  expect(beyond, 'members of rooms that nobody was in').toBe(0);
  // Rooms behind the last one that is told have nobody.
  expect([...expected.values()].filter((count) => count !== 0)).toEqual([]);
}

export function describeShard(name: string, open: OpenShard): void {
  describe(name, () => {
    let rooms: Interner<RoomNo>;
    let shard: Shard;
    /** The number of the next commit. */
    let next: number;

    beforeEach(async () => {
      rooms = roomInterner();
      shard = await open({ partitions: everything, names: rooms.names });
      next = shard.from;
    });

    afterEach(async () => {
      await shard.close();
    });

    /** Each list is a commit of its own. */
    const apply = async (list: Uint32Array): Promise<number> => shard.follow(next++, list);
    /** Interned, in rank order. */
    const named = (...names: readonly string[]): RoomNo[] =>
      names.map((roomName) => rooms.intern(roomName)).sort((left, right) => left - right);
    const numbered = (count: number, prefix = '!room'): RoomNo[] =>
      named(...Array.from({ length: count }, (_, index) => `${prefix}${index}:example.org`));
    const spelled = (list: readonly number[]): string =>
      list.map((room) => JSON.stringify(rooms.names.text(room))).join(',');
    const ask = async (
      users: readonly UserNo[],
      start = 0,
      limit = 100,
      json = false,
    ): Promise<PageAnswer> => {
      const reader = new AnswerReader(await shard.ask(pageQuestion(users, start, limit, json)));
      const page = reader.page();
      expect(reader.atEnd).toBe(true);
      return page;
    };
    const shares = async (user: UserNo, others: readonly UserNo[]): Promise<boolean[]> =>
      new AnswerReader(await shard.ask(sharesQuestion(user, others))).shares(others.length);

    test('starts empty and can answer', async () => {
      expect(shard.failure).toBeUndefined();
      expect(await ask([alice, bob])).toEqual({ count: 0, beyond: 0, rooms: [], json: '' });
      expect(await shares(alice, [alice, bob])).toEqual([false, false]);
      expect(await shard.stats()).toMatchObject({ memberships: 0, bitmaps: 0 });
    });

    describe('pages', () => {
      let all: RoomNo[];
      beforeEach(async () => {
        all = numbered(60);
        await apply(changes(alice, all));
        await apply(changes(bob, all.slice(10)));
        await apply(changes(carol, all.slice(0, 40)));
      });

      test('of one, two and three users', async () => {
        expect((await ask([alice])).rooms).toEqual(all);
        expect((await ask([alice, bob])).rooms).toEqual(all.slice(10));
        expect((await ask([carol, bob])).rooms).toEqual(all.slice(10, 40));
        expect(await ask([alice, bob, carol])).toEqual({
          count: 30,
          beyond: 30,
          rooms: all.slice(10, 40),
          json: '',
        });
        expect((await ask([alice, bob, carol, dave])).count).toBe(0);
      });

      test('of a user with himself, and with nobody', async () => {
        expect((await ask([alice, alice])).rooms).toEqual(all);
        expect((await ask([bob, bob, bob])).rooms).toEqual(all.slice(10));
        expect((await ask([alice, nobody])).count).toBe(0);
        expect((await ask([nobody])).count).toBe(0);
      });

      test.each([[[alice]], [[alice, bob]], [[alice, bob, carol]]])(
        'users %j: a limit of 0 counts, and pages from any start hold what is at or beyond it',
        async (users) => {
          const whole = (await ask(users)).rooms;
          const count = whole.length;
          expect(await ask(users, 0, 0)).toEqual({ count, beyond: count, rooms: [], json: '' });
          for (const at of [0, 1, 7, count - 1]) {
            expect(await ask(users, whole[at], 5)).toMatchObject({
              count,
              beyond: count - at,
              rooms: whole.slice(at, at + 5),
            });
            // Between two rooms: the next one is the first.
            expect((await ask(users, whole[at] + 1, 5)).rooms).toEqual(whole.slice(at + 1, at + 6));
            expect(await ask(users, whole[at], 0)).toMatchObject({ count, beyond: count - at, rooms: [] });
          }
          expect(await ask(users, whole[count - 1] + 1)).toMatchObject({ count, beyond: 0, rooms: [] });
        },
      );

      test('of bitmaps, alone and with packed sets', async () => {
        const many = numbered(packedCountMax + 200, '!many');
        await apply(changes(alice, many));
        await apply(changes(dave, many.slice(100)));
        expect(await shard.stats()).toMatchObject({ bitmaps: 2 });
        expect((await ask([alice, dave], 0, 10_000)).rooms).toEqual(many.slice(100));
        expect(await ask([alice, dave], many[300], 7)).toMatchObject({
          count: many.length - 100,
          beyond: many.length - 300,
          rooms: many.slice(300, 307),
        });
        expect((await ask([alice, bob], all[20])).rooms).toEqual(all.slice(20));
        expect((await ask([dave, alice, dave], 0, 3)).rooms).toEqual(many.slice(100, 103));
      });
    });

    describe('JSON bytes', () => {
      const awkward = [
        '!plain:example.org',
        '!"quoted"\\back\\slash:x',
        '!line\nbreak\u0000\u001f\u007f\u0085:x',
        '!é☕😀\u2028:x',
        `!${'l'.repeat(1020)}:x`,
        `!${'\u0001'.repeat(1020)}`,
        '€'.repeat(341),
      ];

      test('spell awkward names as JSON.stringify does', async () => {
        const list = named(...awkward);
        await apply(changes(alice, list));
        for (let start = 0; start <= list.length; start += 1) {
          const page = await ask([alice], list[start] ?? list[list.length - 1] + 1, 3, true);
          expect(page.json).toBe(spelled(list.slice(start, start + 3)));
        }
        const { json } = await ask([alice], 0, 100, true);
        expect((JSON.parse(`[${json}]`) as string[]).sort()).toEqual([...awkward].sort());
      });

      test('of pages far beyond what the shard keeps ready for them', async () => {
        const plain = Array.from({ length: 150 }, (_, index) => `!${'p'.repeat(1000)}${index}:x`);
        const escaped = Array.from({ length: 150 }, (_, index) => `!${'\u0002'.repeat(1000)}${index}`);
        const list = named(...plain, ...escaped);
        await apply(changes(alice, list));
        for (const limit of [10, 300, 17, 150]) {
          expect((await ask([alice], 0, limit, true)).json).toBe(spelled(list.slice(0, limit)));
        }
      });

      test('of the largest page', async () => {
        const list = numbered(roomsPerPageMax + 5);
        await apply(changes(alice, list));
        const page = await ask([alice, alice], 0, roomsPerPageMax, true);
        expect(page).toMatchObject({ count: list.length, rooms: list.slice(0, roomsPerPageMax) });
        expect(page.json).toBe(spelled(page.rooms));
      });

      test('of one batch are told apart, and left out where none are asked for', async () => {
        const list = named(...awkward);
        await apply(changes(alice, list));
        await apply(changes(bob, list.slice(0, 3)));
        const reader = new AnswerReader(
          await shard.ask(
            joined(
              pageQuestion([alice], 0, 2, true),
              pageQuestion([alice], 0, 10, false),
              sharesQuestion(alice, [bob, carol]),
              pageQuestion([carol], 0, 10, true),
              pageQuestion([bob], list[1], 10, true),
            ),
          ),
        );
        expect(reader.page().json).toBe(spelled(list.slice(0, 2)));
        expect(reader.page()).toMatchObject({ rooms: list, json: '' });
        expect(reader.shares(2)).toEqual([true, false]);
        expect(reader.page()).toEqual({ count: 0, beyond: 0, rooms: [], json: '' });
        expect(reader.page().json).toBe(spelled(list.slice(1, 3)));
        expect(reader.atEnd).toBe(true);
      });
    });

    test('answers many questions of one batch in their order', async () => {
      const list = numbered(200);
      for (let user = 1; user <= 200; user += 1) {
        await apply(changes(user as UserNo, list.slice(0, user)));
      }
      const questions: Uint32Array[] = [];
      for (let user = 1; user <= 200; user += 1) {
        questions.push(pageQuestion([user, 100] as UserNo[], 0, 50, user % 3 === 0));
        questions.push(sharesQuestion(user as UserNo, [100, 201, 1] as UserNo[]));
        questions.push(pageQuestion([user] as UserNo[], list[99], 1000, false));
      }
      const reader = new AnswerReader(await shard.ask(joined(...questions)));
      for (let user = 1; user <= 200; user += 1) {
        const count = Math.min(user, 100);
        expect(reader.page()).toEqual({
          count,
          beyond: count,
          rooms: list.slice(0, Math.min(count, 50)),
          json: user % 3 === 0 ? spelled(list.slice(0, Math.min(count, 50))) : '',
        });
        expect(reader.shares(3)).toEqual([true, false, true]);
        expect(reader.page().rooms).toEqual(list.slice(99, Math.max(user, 99)));
      }
      expect(reader.atEnd).toBe(true);
    });

    test('an empty batch has an empty answer', async () => {
      const { numbers, json } = await shard.ask(new Uint32Array(0));
      expect([numbers.length, json.length]).toEqual([0, 0]);
      expect(await apply(new Uint32Array(0))).toBe(0);
    });

    test.each([0, 1, 31, 32, 33, 64, 100, 1000])('shares with %i others', async (count) => {
      const list = numbered(3);
      await apply(changes(alice, list.slice(0, 2)));
      const others = Array.from({ length: count }, (_, index) => (index + 10) as UserNo);
      const expected = others.map((other) => (other * 2654435761) % 7 < 3);
      for (const [index, other] of others.entries()) {
        await apply(changes(other, [expected[index] ? list[1] : list[2]]));
      }
      expect(await shares(alice, others)).toEqual(expected);
      expect(await shares(dave, others)).toEqual(others.map(() => false));
    });

    describe('changes', () => {
      test('say what holds: twice is once (invariant I5)', async () => {
        const list = numbered(20);
        const batch = joined(
          changes(alice, list),
          changes(alice, list.slice(0, 5), false),
          changes(bob, list),
        );
        expect(await apply(batch)).toBe(45);
        const before = [await ask([alice]), await ask([bob]), await shard.stats()];
        expect(before[0]).toMatchObject({ rooms: list.slice(5) });
        // In order: five rooms are joined and left once more.
        expect(await apply(batch)).toBe(10);
        expect(await apply(changes(alice, list.slice(0, 5), false))).toBe(0);
        expect(await apply(changes(bob, list))).toBe(0);
        expect([await ask([alice]), await ask([bob]), await shard.stats()]).toEqual(before);
      });

      test('are seen by the question asked next, whether or not anybody waited', async () => {
        const [room] = named('!here:example.org');
        const answers: Promise<boolean[]>[] = [];
        const applied: Promise<number>[] = [];
        for (let turn = 0; turn < 60; turn += 1) {
          applied.push(apply(changes(alice, [room], turn % 2 === 0)));
          answers.push(shares(alice, [alice]));
        }
        expect(await Promise.all(answers)).toEqual(answers.map((_, turn) => [turn % 2 === 0]));
        expect(await Promise.all(applied)).toEqual(applied.map(() => 1));
      });

      test('and everything else take effect in the order of the calls', async () => {
        const list = numbered(4);
        const results = await Promise.all([
          apply(changes(alice, list)),
          apply(changes(bob, list)),
          apply(changes(alice, list, false)),
          apply(changes(alice, list.slice(1))),
          apply(joined(changes(alice, [list[3]], false), changes(bob, [list[3]], false))),
          shard.stats(),
          ask([alice, bob]),
          apply(changes(alice, list)),
          ask([alice, bob]),
        ]);
        expect(results).toMatchObject([4, 4, 4, 3, 2, { memberships: 5 }, { count: 2 }, 2, { count: 3 }]);
      });

      test('of one commit may come in parts, which take effect in their order', async () => {
        const list = numbered(3);
        const number = next++;
        expect(await shard.follow(number, changes(alice, list))).toBe(3);
        expect(await shard.follow(number, changes(alice, list.slice(0, 2), false))).toBe(2);
        expect(await shard.follow(number, new Uint32Array(0))).toBe(0);
        expect(await shard.follow(number, changes(alice, [list[0]]))).toBe(1);
        expect((await ask([alice])).rooms).toEqual([list[0], list[2]]);
      });

      test('take a user out of every room, in both forms', async () => {
        const list = numbered(packedCountMax + 1);
        await apply(changes(alice, list));
        await apply(changes(bob, list.slice(0, 9)));
        expect(await apply(changes(alice, list, false))).toBe(list.length);
        expect(await apply(changes(alice, list, false))).toBe(0);
        expect(await apply(changes(nobody, list, false))).toBe(0);
        expect(await apply(changes(1_000_000 as UserNo, list, false))).toBe(0);
        expect((await ask([alice])).count).toBe(0);
        expect((await ask([bob])).rooms).toEqual(list.slice(0, 9));
        expect(await shard.stats()).toMatchObject({ memberships: 9, bitmaps: 0 });
        expect(await apply(changes(alice, list.slice(3, 5)))).toBe(2);
        expect((await ask([alice, bob])).rooms).toEqual(list.slice(3, 5));
      });

      test('take everybody out of a room', async () => {
        const [left, right] = named('!left:x', '!right:x');
        const users = Array.from({ length: 10_000 }, (_, index) => (index + 1) as UserNo);
        const leaves = (from: number, end: number): Uint32Array =>
          joined(...users.slice(from - 1, end - 1).map((user) => changes(user, [left], false)));
        await apply(joined(...users.map((user) => changes(user, user % 2 === 0 ? [left] : [left, right]))));
        expect(await apply(leaves(1, 4000))).toBe(3999);
        expect(await shares(9999 as UserNo, [3999, 4000, 10_000] as UserNo[])).toEqual([true, true, true]);
        expect(await shares(10_000 as UserNo, [3998, 4000] as UserNo[])).toEqual([false, true]);
        expect(await apply(leaves(4000, 10_001))).toBe(6001);
        expect(await apply(leaves(1, 10_001))).toBe(0);
        expect(await shard.stats()).toMatchObject({ memberships: 5000 });
        expect((await ask([1, 9999] as UserNo[])).rooms).toEqual([right]);
      });
    });

    test('members are what a naive count says, after any changes', async () => {
      const random = seededRandom(17);
      const all = numbered(700, '!"member"');
      const model = new Map<number, Set<number>>(all.map((room) => [room, new Set()]));
      for (let round = 0; round < 12; round += 1) {
        const words: number[] = [];
        // From some rooms everybody goes in the end.
        const isEmptying = round % 4 === 3;
        for (let change = 0; change < 3000; change += 1) {
          const user = 1 + random(40);
          const room = all[random(round < 6 ? 300 : all.length)];
          const isJoined = random(3) > 0 && !(isEmptying && room % 3 === 0);
          words.push(user, changeWord(room, isJoined));
          if (isJoined) model.get(room)!.add(user);
          else model.get(room)!.delete(user);
        }
        if (isEmptying)
          for (const room of all.slice(0, 20))
            for (const user of model.get(room)!) {
              words.push(user, changeWord(room, false));
              model.get(room)!.delete(user);
            }
        await apply(Uint32Array.from(words));
        await expectMembers(shard, all, (room) => model.get(room)!.size);
      }
      const { memberships, bytes } = await shard.stats();
      expect(memberships).toBe([...model.values()].reduce((sum, { size }) => sum + size, 0));
      expect(bytes.rooms).toBeGreaterThanOrEqual(all.length * 4);
      // What is answered is the caller's: it can be written to, and sent.
      (await shard.members(partitionOf(all[0]))).fill(7);
      await expectMembers(shard, all, (room) => model.get(room)!.size);
    });

    describe('lists and sums', () => {
      let list: RoomNo[];
      beforeEach(async () => {
        list = numbered(packedCountMax + 10);
        await apply(changes(alice, list));
        await apply(changes(bob, list.slice(3, 5)));
        await apply(changes(dave, [list[4]]));
      });

      test('list says where each of some users is, by user and room', async () => {
        expect([...(await shard.list(0, 10))]).toEqual([
          ...[alice, list.length, ...list],
          ...[bob, 2, list[3], list[4]],
          ...[dave, 1, list[4]],
        ]);
        expect([...(await shard.list(bob, dave))]).toEqual([bob, 2, list[3], list[4]]);
        expect([...(await shard.list(5, 1_000_000))]).toEqual([]);
      });

      test('list of some rooms leaves out who is in none of them', async () => {
        const rooms = Uint32Array.from([list[0], list[4]]);
        expect([...(await shard.list(0, 10, rooms))]).toEqual([
          ...[alice, 2, list[0], list[4]],
          ...[bob, 1, list[4]],
          ...[dave, 1, list[4]],
        ]);
        expect([...(await shard.list(bob, 10, Uint32Array.from([list[0]])))]).toEqual([]);
      });

      test('sum adds a hash for each member, and passes over rooms that got their name later', async () => {
        const sums = RoomSums.of(rooms.names);
        const [late] = named('!late:x');
        await apply(changes(bob, [late]));
        await shard.sum(alice, Int32Array.from([-7, 100]), sums);
        await shard.sum(carol, Int32Array.from([1000, 2 ** 31 - 1]), sums);
        expect([...sums.rooms()]).toEqual(list);
        expect(sums.take(list[0])).toEqual({ count: 1, hash: -7 });
        expect(sums.take(list[3])).toEqual({ count: 2, hash: 93 });
        expect(sums.take(list[4])).toEqual({ count: 3, hash: 93 + 2 ** 31 - 1 });
        expect(sums.take(late)).toEqual({ count: 0, hash: 0 });
        expect(sums.take(list[0])).toEqual({ count: 0, hash: 0 });
        expect([...sums.rooms()]).toEqual(list.filter((_, index) => ![0, 3, 4].includes(index)));
      });
    });

    test('stats count memberships, bitmaps and bytes', async () => {
      const list = numbered(packedCountMax + 1);
      await apply(changes(alice, list));
      await apply(changes(bob, list.slice(0, 100)));
      const { memberships, bitmaps, bytes } = await shard.stats();
      expect({ memberships, bitmaps }).toEqual({ memberships: list.length + 100, bitmaps: 1 });
      expect(bytes.handles).toBeGreaterThan(0);
      expect(bytes.packed).toBeGreaterThanOrEqual(400);
      expect(bytes.bitmaps).toBeGreaterThan(packedCountMax * 2);
    });

    test('names that are made between calls are seen by the next one', async () => {
      // Each round takes more than a chunk of names (1 MiB), the last one second chunks of positions too.
      const rounds = [
        Array.from({ length: 1500 }, (_, index) => `!${'n'.repeat(900)}${index}:x`),
        Array.from({ length: 1500 }, (_, index) => `!${'"'.repeat(900)}${index}:x`),
        Array.from({ length: 90_000 }, (_, index) => `!short${index}:x`),
      ];
      for (const [round, names] of rounds.entries()) {
        const user = (round + 1) as UserNo;
        const list = named(...names);
        // One task brings the names with a change, the other with a question.
        if (round === 1) expect((await ask([user], 0, 1, true)).count).toBe(0);
        await apply(changes(user, list));
        for (const start of [0, Math.floor(list.length / 2), list.length - 20]) {
          const page = await ask([user], list[start], 300, true);
          expect(page.rooms).toEqual(list.slice(start, start + 300));
          expect(page.json === spelled(page.rooms), `JSON of round ${round} from ${start}`).toBe(true);
        }
      }
    });

    test('a closed shard refuses every call', async () => {
      const [room] = named('!here:x');
      await apply(changes(alice, [room]));
      await shard.close();
      expect(shard.failure).toBe('closed');
      const calls = [
        () => shard.ask(pageQuestion([alice], 0, 1, false)),
        () => apply(changes(alice, [room])),
        () => shard.members(0),
        () => shard.list(0, 10),
        () => shard.sum(1, Int32Array.from([1]), RoomSums.of(rooms.names)),
        () => shard.stats(),
      ];
      for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await expect(shard.close()).resolves.toBeUndefined();
    });
  });
}

/** What a shard must do that takes in what a store holds. @param open one that nothing was loaded into */
export function describeLoadedShard(name: string, open: OpenShard): void {
  describe.each(partitionRanges(3))(`${name}, loaded: partitions $first to $end`, (partitions) => {
    test('it counts members from what is folded and what is not, and on from there', async () => {
      // Few, so that some commits are folded and some are not.
      const store = await LmdbStore.open({ directory: newFolder(), limits: { recentChangesMax: 64 } });
      onTestFinished(async () => store.close());
      const directory = new Directory();
      await store.restoreNames(directory);
      const users = ids('@', 'user', 20);
      const rooms = ids('!', 'room', 300);
      const model = new NaiveIndex();
      const random = seededRandom(29);
      const draw = (count: number): Change[] =>
        Array.from({ length: count }, () => ({
          userId: users[random(users.length)],
          roomId: rooms[random(rooms.length)],
          joined: random(3) > 0,
        }));
      const commit = async (list: readonly Change[]): Promise<Uint32Array> => {
        model.apply(list);
        const words = directory.number(list).slice();
        await store.commit(draftOf(directory, words));
        return words;
      };
      const isHere = (room: RoomNo): boolean =>
        partitionOf(room) >= partitions.first && partitionOf(room) < partitions.end;
      const expectAll = async (shard: Shard): Promise<void> => {
        const { names } = directory.rooms;
        const known = rooms.map((roomId) => directory.rooms.intern(roomId)).filter(isHere);
        const joinedTo = users.flatMap((userId) => model.roomsOf(userId));
        await expectMembers(
          shard,
          known,
          (room) => joinedTo.filter((roomId) => roomId === names.text(room)).length,
        );
        const { memberships } = await shard.stats();
        expect(memberships).toBe(joinedTo.filter((roomId) => isHere(directory.rooms.intern(roomId))).length);
      };

      const kept: Uint32Array[] = [];
      for (const count of [40, 0, 70, 300]) kept.push(await commit(draw(count)));
      while (store.debt > 0) await store.settle();
      for (const count of [30, 0]) kept.push(await commit(draw(count)));
      const shard = await open({ partitions, names: directory.rooms.names });
      onTestFinished(async () => shard.close());
      const loaded = await shard.load(store.path, () => undefined, store.state);
      expect([loaded.last, shard.from]).toEqual([6, 7]);
      await expectAll(shard);
      const ofShard = (words: Uint32Array): Uint32Array =>
        Uint32Array.from(
          Array.from({ length: words.length / 2 }, (_, index) => words.subarray(index * 2, index * 2 + 2))
            .filter(([, word]) => isHere((word >>> 1) as RoomNo))
            .flatMap((pair) => [...pair]),
        );
      for (const [index, words] of kept.entries())
        expect(await shard.follow(index + 1, ofShard(words))).toBe(0);
      await expectAll(shard);
      // Everybody leaves what was loaded.
      const leaves = users.flatMap((userId) =>
        model.roomsOf(userId).map((roomId) => ({ userId, roomId, joined: false })),
      );
      const some = ofShard(await commit([...draw(50), ...leaves]));
      expect(await shard.follow(7, some.slice(0, 40))).toBeGreaterThan(0);
      await shard.follow(7, some.slice(40));
      await shard.follow(8, ofShard(await commit(draw(100))));
      await expectAll(shard);
    });
  });
}
