/** What every shard must do, inline or in a thread: what it is told it answers, in order, whole, or not at all. */
import { afterEach, beforeEach, describe, expect, test } from 'vitest';
import type { RoomNo, UserNo } from '../../src/base/ids.js';
import { nobody } from '../../src/base/ids.js';
import { roomsPerPageMax } from '../../src/base/limits.js';
import type { Interner } from '../../src/directory/interner.js';
import { roomInterner } from '../../src/directory/interner.js';
import type { Names } from '../../src/directory/names.js';
import { packedCountMax } from '../../src/sets/thresholds.js';
import { RoomSums } from '../../src/shard/room-sums.js';
import type { Shard } from '../../src/shard/shard.js';
import { changeWord } from '../../src/log/changes.js';
import { pageQuestion, sharesQuestion } from '../../src/shard/wire.js';
import { AnswerReader, type PageAnswer } from '../shard/answer-reader.js';

export type OpenShard = (names: Names) => Promise<Shard>;

const [alice, bob, carol, dave] = [1, 2, 3, 4] as UserNo[];

function changes(user: UserNo, rooms: readonly RoomNo[], joined = true): Uint32Array {
  return Uint32Array.from(rooms.flatMap((room) => [user, changeWord(room, joined)]));
}

function joined(...questions: readonly Uint32Array[]): Uint32Array {
  return Uint32Array.from(questions.flatMap((question) => [...question]));
}

export function describeShard(name: string, open: OpenShard): void {
  describe(name, () => {
    let rooms: Interner<RoomNo>;
    let shard: Shard;

    beforeEach(async () => {
      rooms = roomInterner();
      shard = await open(rooms.names);
    });

    afterEach(async () => {
      await shard.close();
    });

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
        await shard.apply(changes(alice, all));
        await shard.apply(changes(bob, all.slice(10)));
        await shard.apply(changes(carol, all.slice(0, 40)));
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
        await shard.apply(changes(alice, many));
        await shard.apply(changes(dave, many.slice(100)));
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
        await shard.apply(changes(alice, list));
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
        await shard.apply(changes(alice, list));
        for (const limit of [10, 300, 17, 150]) {
          expect((await ask([alice], 0, limit, true)).json).toBe(spelled(list.slice(0, limit)));
        }
      });

      test('of the largest page', async () => {
        const list = numbered(roomsPerPageMax + 5);
        await shard.apply(changes(alice, list));
        const page = await ask([alice, alice], 0, roomsPerPageMax, true);
        expect(page).toMatchObject({ count: list.length, rooms: list.slice(0, roomsPerPageMax) });
        expect(page.json).toBe(spelled(page.rooms));
      });

      test('of one batch are told apart, and left out where none are asked for', async () => {
        const list = named(...awkward);
        await shard.apply(changes(alice, list));
        await shard.apply(changes(bob, list.slice(0, 3)));
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
        await shard.apply(changes(user as UserNo, list.slice(0, user)));
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
      expect(await shard.apply(new Uint32Array(0))).toBe(0);
    });

    test.each([0, 1, 31, 32, 33, 64, 100, 1000])('shares with %i others', async (count) => {
      const list = numbered(3);
      await shard.apply(changes(alice, list.slice(0, 2)));
      const others = Array.from({ length: count }, (_, index) => (index + 10) as UserNo);
      const expected = others.map((other) => (other * 2654435761) % 7 < 3);
      for (const [index, other] of others.entries()) {
        await shard.apply(changes(other, [expected[index] ? list[1] : list[2]]));
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
        expect(await shard.apply(batch)).toBe(45);
        const before = [await ask([alice]), await ask([bob]), await shard.stats()];
        expect(before[0]).toMatchObject({ rooms: list.slice(5) });
        // In order: five rooms are joined and left once more.
        expect(await shard.apply(batch)).toBe(10);
        expect(await shard.apply(changes(alice, list.slice(0, 5), false))).toBe(0);
        expect(await shard.apply(changes(bob, list))).toBe(0);
        expect([await ask([alice]), await ask([bob]), await shard.stats()]).toEqual(before);
      });

      test('are seen by the question asked next, whether or not anybody waited', async () => {
        const [room] = named('!here:example.org');
        const answers: Promise<boolean[]>[] = [];
        const applied: Promise<number>[] = [];
        for (let turn = 0; turn < 60; turn += 1) {
          applied.push(shard.apply(changes(alice, [room], turn % 2 === 0)));
          answers.push(shares(alice, [alice]));
        }
        expect(await Promise.all(answers)).toEqual(answers.map((_, turn) => [turn % 2 === 0]));
        expect(await Promise.all(applied)).toEqual(applied.map(() => 1));
      });

      test('and everything else take effect in the order of the calls', async () => {
        const list = numbered(4);
        const results = await Promise.all([
          shard.apply(changes(alice, list)),
          shard.apply(changes(bob, list)),
          shard.forgetUser(alice),
          shard.apply(changes(alice, list.slice(1))),
          shard.forgetRoom(list[3], 0, 10),
          shard.stats(),
          ask([alice, bob]),
          shard.apply(changes(alice, list)),
          ask([alice, bob]),
        ]);
        expect(results).toMatchObject([4, 4, 4, 3, 2, { memberships: 5 }, { count: 2 }, 2, { count: 3 }]);
      });

      test('forgetUser takes a user out of every room, in both forms', async () => {
        const list = numbered(packedCountMax + 1);
        await shard.apply(changes(alice, list));
        await shard.apply(changes(bob, list.slice(0, 9)));
        expect(await shard.forgetUser(alice)).toBe(list.length);
        expect(await shard.forgetUser(alice)).toBe(0);
        expect(await shard.forgetUser(nobody)).toBe(0);
        expect(await shard.forgetUser(1_000_000 as UserNo)).toBe(0);
        expect((await ask([alice])).count).toBe(0);
        expect((await ask([bob])).rooms).toEqual(list.slice(0, 9));
        expect(await shard.stats()).toMatchObject({ memberships: 9, bitmaps: 0 });
        expect(await shard.apply(changes(alice, list.slice(3, 5)))).toBe(2);
        expect((await ask([alice, bob])).rooms).toEqual(list.slice(3, 5));
      });

      test('forgetRoom goes over the users that it is told, in steps', async () => {
        const [left, right] = named('!left:x', '!right:x');
        const users = Array.from({ length: 10_000 }, (_, index) => (index + 1) as UserNo);
        await shard.apply(
          joined(...users.map((user) => changes(user, user % 2 === 0 ? [left] : [left, right]))),
        );
        expect(await shard.forgetRoom(left, 0, 1)).toBe(0);
        expect(await shard.forgetRoom(left, 0, 4000)).toBe(3999);
        expect(await shares(9999 as UserNo, [3999, 4000, 10_000] as UserNo[])).toEqual([true, true, true]);
        expect(await shares(10_000 as UserNo, [3998, 4000] as UserNo[])).toEqual([false, true]);
        expect(await shard.forgetRoom(left, 4000, 10_000)).toBe(6000);
        expect(await shard.forgetRoom(left, 10_000, 1_000_000)).toBe(1);
        expect(await shard.forgetRoom(left, 0, 1_000_000)).toBe(0);
        expect(await shard.stats()).toMatchObject({ memberships: 5000 });
        expect((await ask([1, 9999] as UserNo[])).rooms).toEqual([right]);
      });
    });

    describe('lists and sums', () => {
      let list: RoomNo[];
      beforeEach(async () => {
        list = numbered(packedCountMax + 10);
        await shard.apply(changes(alice, list));
        await shard.apply(changes(bob, list.slice(3, 5)));
        await shard.apply(changes(dave, [list[4]]));
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
        await shard.apply(changes(bob, [late]));
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
      await shard.apply(changes(alice, list));
      await shard.apply(changes(bob, list.slice(0, 100)));
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
        await shard.apply(changes(user, list));
        for (const start of [0, Math.floor(list.length / 2), list.length - 20]) {
          const page = await ask([user], list[start], 300, true);
          expect(page.rooms).toEqual(list.slice(start, start + 300));
          expect(page.json === spelled(page.rooms), `JSON of round ${round} from ${start}`).toBe(true);
        }
      }
    });

    test('a closed shard refuses every call', async () => {
      const [room] = named('!here:x');
      await shard.apply(changes(alice, [room]));
      await shard.close();
      expect(shard.failure).toBe('closed');
      const calls = [
        () => shard.ask(pageQuestion([alice], 0, 1, false)),
        () => shard.apply(changes(alice, [room])),
        () => shard.forgetUser(alice),
        () => shard.forgetRoom(room, 0, 10),
        () => shard.list(0, 10),
        () => shard.sum(1, Int32Array.from([1]), RoomSums.of(rooms.names)),
        () => shard.stats(),
      ];
      for (const call of calls) await expect(call()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
      await expect(shard.close()).resolves.toBeUndefined();
    });
  });
}
