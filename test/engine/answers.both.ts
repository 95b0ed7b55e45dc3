/** Do the index and the engine, over any number of shards, give the same right answers to the same calls? */
import { afterAll, afterEach, beforeAll, describe, expect, onTestFinished, test } from 'vitest';
import type { MembershipRecord } from '../../src/base/change.js';
import { PublicError } from '../../src/base/errors.js';
import { openEngine } from '../../src/engine/engine.js';
import { MembershipEngine } from '../../src/engine/membership-engine.js';
import { MembershipIndex } from '../../src/engine/membership-index.js';
import { packedCountMax } from '../../src/sets/thresholds.js';
import { NaiveIndex } from '../model/naive-index.js';
import { seededRandom } from '../model/random.js';
import { answererKinds, record, rememberingUsers, type Answerer } from './answerers.js';

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
    await index.apply(rooms.map((roomId) => record(userId, roomId)));
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
      record(alice, '!a:x'),
      record(alice, '!a:x'),
      record(bob, '!a:x'),
      record(bob, '!unknown:x', false),
      record(carol, '!a:x', false),
    ];
    expect(await index.apply(changes)).toEqual({ applied: 2, ignored: 3 });
    expect(await index.apply(changes)).toEqual({ applied: 0, ignored: 5 });
    expect(await index.apply([])).toEqual({ applied: 0, ignored: 0 });
    expect(await index.stats()).toMatchObject({ memberships: 2 });
  });

  test('apply takes changes in their order, also many of them', async () => {
    const rooms = roomIds(3000);
    const list = [true, false, true].flatMap((joined) =>
      rooms.map((roomId) => record(alice, roomId, joined)),
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
      await fresh.apply(users.slice(at, at + 10_000).map((userId) => record(userId, '!all:x')));
    }
    // As many as make bitmaps in each of seven shards.
    const rooms = roomIds(7 * (packedCountMax + 150));
    await fresh.apply(rooms.map((roomId) => record(alice, roomId)));
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
      await expect(index.apply([record(bad, '!room:x')])).rejects.toMatchObject(invalid);
      await expect(index.apply([record(alice, bad)])).rejects.toMatchObject(invalid);
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
      const { answerer, shards } = await openEngine();
      await expect(answerer.mutualPage([alice, bob], start, 1)).rejects.toMatchObject(invalid);
      await shards.close();
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
      const odd = [{ user_id: '@a:x', room_id: '!a:x' }] as unknown as MembershipRecord[];
      expect(await message(index.apply(odd))).toContain('membership must be a string');
      expect(await message(engine.apply(odd))).toContain('membership must be a string');
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
    const applied = await index.apply(
      all.map(({ userId, roomId, joined }) => record(userId, roomId, joined)),
    );
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

describe('both faces', () => {
  /** What is given to both when bob is in `!a:x`, and what both say to it: an answer, or what is wrong. */
  const records: [what: string, given: () => Iterable<unknown>, said: unknown][] = [
    ['none', () => [], { applied: 0, ignored: 0 }],
    ['a Set', () => new Set([record(alice, '!a:x'), record(bob, '!a:x')]), { applied: 1, ignored: 1 }],
    ['what can be read once', () => [record(alice, '!b:x'), record(alice, '!b:x', false)].values(), { applied: 2, ignored: 0 }], // prettier-ignore
    ['other keys beside', () => [{ ...record(carol, '!b:x'), sender: '@d:x' }], { applied: 1, ignored: 0 }],
    ['leave', () => [{ ...record(bob, '!a:x'), membership: 'leave' }], { applied: 1, ignored: 0 }],
    ['ban', () => [{ ...record(bob, '!a:x'), membership: 'ban' }], { applied: 1, ignored: 0 }],
    ['knock', () => [{ ...record(bob, '!a:x'), membership: 'knock' }], { applied: 1, ignored: 0 }],
    [
      'no membership of today',
      () => [{ ...record(bob, '!a:x'), membership: 'x' }],
      { applied: 1, ignored: 0 },
    ],
    ['a change of the inner form', () => [{ userId: alice, roomId: '!c:x', joined: true }], 'INVALID'],
    ['no membership', () => [{ user_id: alice, room_id: '!c:x' }], 'INVALID'],
    ['a membership that is no text', () => [{ ...record(alice, '!c:x'), membership: true }], 'INVALID'],
    ['no user', () => [{ room_id: '!c:x', membership: 'join' }], 'INVALID'],
    ['no room, in a leave', () => [{ user_id: alice, membership: 'leave' }], 'INVALID'],
    ['an empty room', () => [record(alice, '')], 'INVALID'],
    ['null', () => [null], 'INVALID'],
    ['a list in the list', () => [[alice, '!c:x', 'join']], 'INVALID'],
    ['text in the list', () => ['join'], 'INVALID'],
  ];
  const questions: [what: string, ask: (index: Answerer) => Promise<unknown>, said: unknown][] = [
    ['mutual', async (index) => index.mutual([alice, bob]), { rooms: ['!a:x'], count: 1, more: false }],
    ['mutual of text', async (index) => index.mutual('ab' as never), 'INVALID'],
    ['mutual of nothing', async (index) => index.mutual(undefined as never), 'INVALID'],
    ['mutual of a Set', async (index) => index.mutual(new Set([alice]) as never), 'INVALID'],
    ['mutual with a number for options', async (index) => index.mutual([alice, bob], 3 as never), 'INVALID'],
    ['mutual with null for options', async (index) => index.mutual([alice], null as never), 'INVALID'],
    ['mutual, a key misspelled', async (index) => index.mutual([alice], { limt: 3 } as never), 'INVALID'],
    ['mutual, no options', async (index) => index.mutual([alice, bob], undefined), { count: 1 }],
    ['mutual, empty options', async (index) => index.mutual([alice, bob], {}), { count: 1 }],
    ['mutual, options that are undefined', async (index) => index.mutual([alice, bob], { limit: undefined, after: undefined } as never), { count: 1, rooms: ['!a:x'] }], // prettier-ignore
    [
      'mutual, a limit that is text',
      async (index) => index.mutual([alice], { limit: '3' } as never),
      'INVALID',
    ],
    ['roomsOf, a key misspelled', async (index) => index.roomsOf(alice, { from: 3 } as never), 'INVALID'],
    ['roomsOf with a number for options', async (index) => index.roomsOf(alice, 3 as never), 'INVALID'],
    ['sharesMany', async (index) => index.sharesMany(alice, [bob, carol, '@d:x']), [true, false, false]],
    ['sharesMany of nothing', async (index) => index.sharesMany(alice, undefined as never), 'INVALID'],
    ['sharesMany of text', async (index) => index.sharesMany(alice, bob as never), 'INVALID'],
    [
      'sharesMany of an iterator',
      async (index) => index.sharesMany(alice, [bob].values() as never),
      'INVALID',
    ],
  ];

  const saidBy = async (call: () => Promise<unknown>): Promise<unknown> => {
    try {
      return await call();
    } catch (error) {
      expect(error).toBeInstanceOf(PublicError);
      return (error as PublicError).code;
    }
  };

  test.each(records)('apply: %s', async (_, given, said) => {
    for (const { name, open } of answererKinds.slice(0, 3)) {
      const index = await open();
      onTestFinished(async () => index.close());
      await index.join(bob, '!a:x');
      const answer = await saidBy(async () => index.apply(given() as Iterable<MembershipRecord>));
      expect(answer, name).toEqual(said);
      if (said === 'INVALID') expect((await index.stats()).memberships, name).toBe(1);
    }
  });

  test.each(questions)('%s', async (_, ask, said) => {
    for (const { name, open } of answererKinds.slice(0, 3)) {
      const index = await open();
      onTestFinished(async () => index.close());
      await index.apply([record(alice, '!a:x'), record(bob, '!a:x'), record(carol, '!b:x')]);
      const answer = await saidBy(async () => ask(index));
      if (typeof said === 'string' || Array.isArray(said)) expect(answer, name).toEqual(said);
      else expect(answer, name).toMatchObject(said as object);
    }
  });

  test.each([{ shard: 2 }, { shards: 0, observer: {} }, 3, null, 'shards'])(
    'an engine is not opened with %j',
    async (options) => {
      await expect(MembershipEngine.open(options as never)).rejects.toMatchObject(invalid);
    },
  );
});

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
