/** Do the index and the engine, over any number of shards, give the same right answers to the same calls? */
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { PublicError } from '../../src/base/errors.js';
import { MembershipEngine } from '../../src/engine/engine.js';
import { MembershipIndex } from '../../src/engine/membership-index.js';
import { packedCountMax } from '../../src/sets/thresholds.js';
import { NaiveIndex } from '../model/naive-index.js';
import { seededRandom } from '../model/random.js';
import { answererKinds, rememberingUsers, type Answerer } from './answerers.js';

const [alice, bob, carol] = ['@alice:x', '@bob:x', '@carol:x'];
const invalid = { name: 'PublicError', code: 'INVALID' };

function roomIds(count: number): string[] {
  return Array.from({ length: count }, (_, index) => `!room${index}:example.org`);
}

describe.each(answererKinds)('$name', ({ open }) => {
  // Threads take long to start: one index serves all tests, each of which begins with nobody joined.
  let index: Answerer;
  let users: Set<string>;
  beforeAll(async () => {
    index = await open();
    users = rememberingUsers(index);
  });
  afterEach(async () => {
    for (const userId of users) await index.forgetUser(userId);
    users.clear();
  });
  afterAll(async () => index.close());

  const joinAll = async (userId: string, rooms: readonly string[]): Promise<void> => {
    await index.apply(rooms.map((roomId) => ({ userId, roomId, joined: true })));
  };

  test('join and leave say whether that is news', async () => {
    expect(await index.join(alice, '!tea:x')).toBe(true);
    expect(await index.join(alice, '!tea:x')).toBe(false);
    expect(await index.roomsOf(alice)).toEqual({ rooms: ['!tea:x'], count: 1, more: false });
    expect(await index.leave(alice, '!tea:x')).toBe(true);
    expect(await index.leave(alice, '!tea:x')).toBe(false);
    expect(await index.leave(bob, '!tea:x')).toBe(false);
    expect(await index.leave(alice, '!unknown:x')).toBe(false);
    expect(await index.roomsOf(alice)).toEqual({ rooms: [], count: 0, more: false });
    expect(await index.join(alice, '!tea:x')).toBe(true);
  });

  test('apply counts what changed something; twice is once', async () => {
    const changes = [
      { userId: alice, roomId: '!a:x', joined: true },
      { userId: alice, roomId: '!a:x', joined: true },
      { userId: bob, roomId: '!a:x', joined: true },
      { userId: bob, roomId: '!unknown:x', joined: false },
      { userId: carol, roomId: '!a:x', joined: false },
    ];
    expect(await index.apply(changes)).toEqual({ applied: 2, ignored: 3 });
    expect(await index.apply(changes)).toEqual({ applied: 0, ignored: 5 });
    expect(await index.apply([])).toEqual({ applied: 0, ignored: 0 });
    expect(await index.stats()).toMatchObject({ memberships: 2 });
  });

  test('apply takes changes in their order, also many of them', async () => {
    const rooms = roomIds(3000);
    const list = [true, false, true].flatMap((joined) =>
      rooms.map((roomId) => ({ userId: alice, roomId, joined })),
    );
    expect(await index.apply(list)).toEqual({ applied: 9000, ignored: 0 });
    expect(await index.roomsOf(alice, { limit: 0 })).toMatchObject({ count: 3000 });
  });

  test('mutual of one to 64 users', async () => {
    const rooms = roomIds(700);
    const users = Array.from({ length: 64 }, (_, user) => `@${user}:x`);
    for (const [user, userId] of users.entries()) await joinAll(userId, rooms.slice(user * 2));
    for (const count of [1, 2, 3, 10, 63, 64]) {
      const { rooms: mutual, count: total, more } = await index.mutual(users.slice(0, count));
      expect(mutual.toSorted()).toEqual(rooms.slice(count * 2 - 2).sort());
      expect([total, more]).toEqual([mutual.length, false]);
    }
    expect((await index.mutual([...users.slice(0, 63), '@unknown:x'])).count).toBe(0);
    expect((await index.mutual(['@unknown:x', '@strange:x'])).rooms).toEqual([]);
    expect((await index.mutual(['@1:x', '@1:x'])).count).toBe(698);
  });

  test.each([40, packedCountMax + 400])(
    'limit and after walk through %i rooms in one order',
    async (count) => {
      const rooms = roomIds(count);
      await joinAll(alice, [...rooms, '!alice-only:x']);
      await joinAll(bob, rooms);
      for (const users of [[alice, bob], [bob], [bob, alice, bob]]) {
        const whole = (await index.mutual(users)).rooms;
        expect(whole.toSorted()).toEqual(rooms.toSorted());
        for (const limit of [1, 7, count - 1, count, count + 1]) {
          const walked: string[] = [];
          for (let page = await index.mutual(users, { limit }); ;) {
            expect(page.count).toBe(count);
            expect(page.rooms.length).toBeLessThanOrEqual(limit);
            walked.push(...page.rooms);
            expect(page.more).toBe(walked.length < count);
            // One room a page is slow and tells no more after a few.
            if (!page.more || (limit === 1 && walked.length === 30)) break;
            page = await index.mutual(users, { limit, after: walked.at(-1)! });
          }
          expect(walked).toEqual(whole.slice(0, walked.length));
        }
        expect(await index.mutual(users, { after: whole.at(-1)! })).toEqual({
          rooms: [],
          count,
          more: false,
        });
      }
    },
  );

  test('a limit of 0 counts, and says that there is more', async () => {
    await joinAll(alice, roomIds(5));
    await joinAll(bob, roomIds(3));
    expect(await index.mutual([alice, bob], { limit: 0 })).toEqual({ rooms: [], count: 3, more: true });
    expect(await index.roomsOf(alice, { limit: 0 })).toEqual({ rooms: [], count: 5, more: true });
    expect(await index.mutual([alice, carol], { limit: 0 })).toEqual({ rooms: [], count: 0, more: false });
    const last = (await index.roomsOf(alice)).rooms.at(-1)!;
    expect(await index.roomsOf(alice, { limit: 0, after: last })).toEqual({
      rooms: [],
      count: 5,
      more: false,
    });
  });

  test('after may name a room that is shared no more, but not one that nobody knows', async () => {
    await joinAll(alice, roomIds(20));
    const whole = (await index.roomsOf(alice)).rooms;
    await index.leave(alice, whole[9]);
    expect((await index.roomsOf(alice, { after: whole[9] })).rooms).toEqual(whole.slice(10));
    expect((await index.roomsOf(alice, { after: whole[8], limit: 2 })).rooms).toEqual(whole.slice(10, 12));
    await expect(index.mutual([alice], { after: '!unknown:x' })).rejects.toMatchObject(invalid);
    await expect(index.mutual([alice], { after: '' })).rejects.toMatchObject(invalid);
  });

  test('pages hold at most 10,000 rooms, which is the default', async () => {
    await joinAll(alice, roomIds(10_001));
    const page = await index.roomsOf(alice);
    expect([page.rooms.length, page.count, page.more]).toEqual([10_000, 10_001, true]);
    const rest = await index.roomsOf(alice, { after: page.rooms.at(-1)! });
    expect([rest.rooms.length, rest.count, rest.more]).toEqual([1, 10_001, false]);
  });

  test('shares and sharesMany', async () => {
    const rooms = roomIds(50);
    const others = Array.from({ length: 100 }, (_, other) => `@other${other}:x`);
    await joinAll(alice, rooms.slice(0, 25));
    for (const [at, other] of others.entries()) await index.join(other, rooms[(at * 7) % 50]);
    const expected = others.map((_, at) => (at * 7) % 50 < 25);
    expect(await index.sharesMany(alice, others)).toEqual(expected);
    expect(await index.sharesMany(alice, [...others, '@unknown:x', alice])).toEqual([
      ...expected,
      false,
      true,
    ]);
    expect(await index.sharesMany('@unknown:x', others)).toEqual(others.map(() => false));
    expect(await index.sharesMany(alice, [])).toEqual([]);
    for (const at of [0, 3, 4, 50]) expect(await index.shares(alice, others[at])).toBe(expected[at]);
    expect(await index.shares(alice, alice)).toBe(true);
    expect(await index.shares('@unknown:x', '@unknown:x')).toBe(false);
  });

  test('sharesMany of 10,000 others, and of no more', async () => {
    await joinAll(alice, roomIds(3));
    await index.join(bob, roomIds(3)[2]);
    const others = Array.from({ length: 10_000 }, (_, at) => (at % 1000 === 999 ? bob : `@${at}:x`));
    const shared = await index.sharesMany(alice, others);
    expect(shared).toHaveLength(10_000);
    expect(shared.flatMap((each, at) => (each ? [at] : []))).toEqual(
      Array.from({ length: 10 }, (_, at) => at * 1000 + 999),
    );
    await expect(index.sharesMany(alice, [...others, bob])).rejects.toMatchObject(invalid);
  });

  test('forgetUser and forgetRoom', async () => {
    const rooms = roomIds(packedCountMax + 100);
    await joinAll(alice, rooms);
    await joinAll(bob, rooms.slice(0, 10));
    expect(await index.forgetRoom(rooms[3])).toBe(2);
    expect(await index.forgetRoom(rooms[3])).toBe(0);
    expect(await index.forgetRoom('!unknown:x')).toBe(0);
    expect(await index.forgetUser(alice)).toBe(rooms.length - 1);
    expect(await index.forgetUser(alice)).toBe(0);
    expect(await index.forgetUser('@unknown:x')).toBe(0);
    expect(await index.shares(alice, bob)).toBe(false);
    expect((await index.roomsOf(bob)).rooms.sort()).toEqual(rooms.slice(0, 10).toSpliced(3, 1).sort());
    expect(await index.stats()).toMatchObject({ memberships: 9 });
    expect(await index.join(alice, rooms[3])).toBe(true);
    expect((await index.roomsOf(alice)).rooms).toEqual([rooms[3]]);
  });

  test('stats count memberships, names and bytes, and forgetRoom reaches the last of many users', async () => {
    const fresh = await open();
    onTestFinished(async () => fresh.close());
    const empty = await fresh.stats();
    expect(empty).toMatchObject({ memberships: 0, usersKnown: 0, roomsKnown: 0 });
    const users = Array.from({ length: 70_000 }, (_, user) => `@${user}:x`);
    for (let at = 0; at < users.length; at += 10_000) {
      await fresh.apply(
        users.slice(at, at + 10_000).map((userId) => ({ userId, roomId: '!all:x', joined: true })),
      );
    }
    // As many as make bitmaps in each of seven shards.
    const rooms = roomIds(7 * (packedCountMax + 150));
    await fresh.apply(rooms.map((roomId) => ({ userId: alice, roomId, joined: true })));
    const known = { usersKnown: 70_001, roomsKnown: rooms.length + 1 };
    const full = await fresh.stats();
    expect(full).toMatchObject({ ...known, memberships: 70_000 + rooms.length });
    for (const part of ['names', 'tables', 'handles', 'packed', 'bitmaps'] as const) {
      expect(full.bytes[part], part).toBeGreaterThan(0);
      expect(full.bytes[part], part).toBeGreaterThanOrEqual(empty.bytes[part]);
    }
    expect(await fresh.forgetRoom('!all:x')).toBe(70_000);
    expect(await fresh.stats()).toMatchObject({ ...known, memberships: rooms.length });
    expect(await fresh.roomsOf(users[69_999])).toMatchObject({ count: 0 });
    expect(await fresh.forgetUser(alice)).toBe(rooms.length);
    expect(await fresh.stats()).toMatchObject({ ...known, memberships: 0, bytes: { bitmaps: 0 } });
  });

  describe('what is no argument', () => {
    const badIds = [
      ['empty', ''],
      ['1,025 bytes', 'a'.repeat(1025)],
      ['1,025 bytes in fewer characters', `${'é'.repeat(512)}a`],
      ['half of a surrogate pair', '!\ud83d:x'],
      ['the other half', '!\ude00:x'],
    ];

    test.each(badIds)('an ID: %s', async (_, bad) => {
      await expect(index.join(bad, '!room:x')).rejects.toMatchObject(invalid);
      await expect(index.join(alice, bad)).rejects.toMatchObject(invalid);
      await expect(index.apply([{ userId: bad, roomId: '!room:x', joined: true }])).rejects.toMatchObject(
        invalid,
      );
      await expect(index.apply([{ userId: alice, roomId: bad, joined: true }])).rejects.toMatchObject(
        invalid,
      );
      expect(await index.stats()).toMatchObject({ memberships: 0 });
      // Nobody has such a name, so whoever asks for one learns that.
      expect(await index.leave(bad, bad)).toBe(false);
      expect(await index.mutual([alice, bad])).toEqual({ rooms: [], count: 0, more: false });
      expect(await index.shares(bad, bad)).toBe(false);
      expect([await index.forgetUser(bad), await index.forgetRoom(bad)]).toEqual([0, 0]);
    });

    test.each([
      ['1,024 bytes', 'a'.repeat(1024)],
      ['512 characters of two bytes', 'é'.repeat(512)],
      ['a whole surrogate pair', '😀'],
      ['a space', ' '],
      ['a zero', '\0'],
      ['what JSON escapes', '"\\'],
    ])('but this is an ID: %s', async (_, odd) => {
      expect(await index.join(odd, odd)).toBe(true);
      expect(await index.mutual([odd, odd])).toEqual({ rooms: [odd], count: 1, more: false });
    });

    test.each([undefined, null, 7, ['a', 'b'], {}])('%j where a string is due', async (odd) => {
      const id = odd as string;
      await expect(index.join(id, '!a:x')).rejects.toMatchObject(invalid);
      await expect(index.join('@a:x', id)).rejects.toMatchObject(invalid);
      expect((await index.roomsOf('@a:x')).count).toBe(0);
      expect(await index.shares(id, alice)).toBe(false);
    });

    test.each([-1, 0.5, 2 ** 32, NaN])('a page that starts at %d', async (start) => {
      expect(() => new MembershipIndex().mutualPage([alice, bob], start, 1)).toThrow(/nextStart/);
      const engine = await MembershipEngine.open();
      await expect(engine.mutualPage([alice, bob], start, 1)).rejects.toMatchObject(invalid);
      await engine.close();
    });

    test('too few and too many users', async () => {
      await expect(index.mutual([])).rejects.toMatchObject(invalid);
      await expect(index.mutual(new Array<string>(65).fill(alice))).rejects.toMatchObject(invalid);
    });

    test.each([-1, 0.5, 10_001, NaN, Infinity])('a limit of %d', async (limit) => {
      await expect(index.mutual([alice, bob], { limit })).rejects.toMatchObject(invalid);
      await expect(index.roomsOf(alice, { limit })).rejects.toMatchObject(invalid);
    });

    test('and the error says what the call takes', async () => {
      const message = async (call: Promise<unknown>): Promise<string> => {
        const error: unknown = await call.catch((thrown: unknown) => thrown);
        expect(error).toBeInstanceOf(PublicError);
        return (error as PublicError).message;
      };
      expect(await message(index.mutual([]))).toContain('1 to 64 users');
      expect(await message(index.mutual([alice], { limit: -1 }))).toContain('0 to 10000');
      expect(await message(index.mutual([alice], { after: '!?:x' }))).toContain('!?:x');
      expect(await message(index.join('', '!a:x'))).toContain('empty');
      const engine = await MembershipEngine.open();
      const odd = [{ userId: '@a:x', roomId: '!a:x' }] as unknown as Change[];
      expect(await message(engine.apply(odd))).toContain('true or false');
      await engine.close();
      expect(await message(engine.roomsOf(alice))).toBe('the engine is closed');
    });
  });
});

/** Everything that one answerer says to the same few hundred calls, beside what is certainly right. */
async function transcript(index: Answerer, seed: number): Promise<unknown[]> {
  const random = seededRandom(seed);
  const oracle = new NaiveIndex();
  const rooms = roomIds(1200);
  const user = (): string => `@${random(12)}:x`;
  const said: unknown[] = [];
  for (let step = 0; step < 150; step += 1) {
    const from = random(rooms.length);
    const changes = rooms.slice(from, from + random(250)).map((roomId) => ({
      userId: user(),
      roomId,
      joined: random(4) > 0,
    }));
    const heavy = rooms.slice(from).map((roomId) => ({ userId: '@0:x', roomId, joined: random(3) > 0 }));
    const all = step % 10 === 0 ? [...changes, ...heavy] : changes;
    const applied = await index.apply(all);
    expect(applied).toEqual(oracle.apply(all));
    const users = Array.from({ length: 1 + random(4) }, user);
    const page = await index.mutual(users, { limit: random(50) });
    expect(page.count).toBe(oracle.mutual(users).length);
    const after = page.rooms.at(-1);
    said.push(applied, page, after && (await index.mutual(users, { after, limit: random(20) })));
    said.push(await index.sharesMany(user(), Array.from({ length: 40 }, user)));
    if (step % 20 === 0) {
      const [forgotten, room] = [user(), rooms[random(rooms.length)]];
      said.push(await index.forgetUser(forgotten), oracle.forgetUser(forgotten));
      said.push(await index.forgetRoom(room), oracle.forgetRoom(room));
    }
  }
  const { memberships, usersKnown, roomsKnown } = await index.stats();
  expect(memberships).toBe(oracle.count);
  return [...said, { usersKnown, roomsKnown }];
}

test('every answer, also the order of rooms, is the same whoever gives it', async () => {
  const seed = 20_260_801;
  const transcripts: unknown[][] = [];
  for (const { open } of answererKinds) {
    const index = await open();
    onTestFinished(async () => index.close());
    transcripts.push(await transcript(index, seed));
  }
  for (const [at, { name }] of answererKinds.entries()) expect(transcripts[at], name).toEqual(transcripts[0]);
});
