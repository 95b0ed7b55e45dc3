/** Do the questions of a turn travel together, within bounds, and is every one of them answered or refused? */
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { partitionRanges, type UserNo } from '../../src/base/ids.js';
import {
  changesPerTaskMax,
  questionsPerTaskMax,
  questionsWaitingMax,
  usersPerSearchStep,
} from '../../src/engine/bounds.js';
import type { Change } from '../../src/base/change.js';
import { openEngine, statsOf } from '../../src/engine/engine.js';
import { FanOut, type Receiver } from '../../src/engine/fan-out.js';
import { countMembers } from '../../src/engine/members.js';
import { MembershipEngine } from '../../src/engine/membership-engine.js';
import { numberChanges } from '../../src/engine/numbering.js';
import type { Shard } from '../../src/shard/shard.js';
import { sharesQuestion, type Answers } from '../../src/shard/wire.js';
import { roomsByShard } from '../fuzz/checked-engine.js';
import { expectAllEnded, startedBy } from '../shard/started-workers.js';
import { record } from './answerers.js';

/** Answers each question with its own second word, when told to: a real shard does not let itself be held up. */
class HeldShard implements Shard {
  readonly partitions = partitionRanges(1)[0];
  readonly failure = undefined;
  readonly from = 1;
  readonly batches: number[][] = [];
  readonly #held: { answer: () => void; fail: (error: unknown) => void }[] = [];

  async ask(questions: Uint32Array): Promise<Answers> {
    const asked = [...questions].filter((_, index) => index % 3 === 1);
    this.batches.push(asked);
    const numbers = Uint32Array.from(asked.flatMap((word) => [1, word]));
    return new Promise((resolve, reject) => {
      this.#held.push({ answer: () => resolve({ numbers, json: new Uint8Array(0) }), fail: reject });
    });
  }

  /** Lets go of the oldest batch. */
  async answer(): Promise<void> {
    this.#held.shift()!.answer();
    await turn();
  }

  async fail(error: unknown): Promise<void> {
    this.#held.shift()!.fail(error);
    await turn();
  }

  follow(): never {
    throw new Error('the fan-out only asks');
  }
  load = this.follow;
  list = this.follow;
  sum = this.follow;
  members = this.follow;
  stats = this.follow;
  close = this.follow;
}

async function turn(): Promise<void> {
  return new Promise((resolve) => setImmediate(resolve));
}

function question(word: number): Uint32Array {
  return sharesQuestion(word as UserNo, []);
}

/** What became of each question, in the order in which they heard of it. */
class Log {
  readonly heard: unknown[] = [];

  receiver(word: number): Receiver {
    return {
      answer: (slot, { numbers }, at) => this.heard.push([word, slot, numbers[at]]),
      fail: (error) => this.heard.push([word, error]),
    };
  }
}

function ask(fanOut: FanOut, log: Log, first: number, end: number): void {
  for (let word = first; word < end; word += 1) fanOut.ask(question(word), log.receiver(word), 100 + word);
}

function answered(first: number, end: number): unknown[] {
  return Array.from({ length: end - first }, (_, index) => [
    first + index,
    100 + first + index,
    first + index,
  ]);
}

function words(first: number, end: number): number[] {
  return Array.from({ length: end - first }, (_, index) => first + index);
}

describe('a shard in a thread', () => {
  test('is sent the questions of one turn in one batch, when the turn ends', async () => {
    const shard = new HeldShard();
    const sent = vi.fn();
    const fanOut = new FanOut(shard, 4, { sent });
    const log = new Log();
    ask(fanOut, log, 0, 100);
    expect([shard.batches.length, fanOut.waiting]).toEqual([0, 100]);
    await turn();
    expect(shard.batches).toEqual([words(0, 100)]);
    expect(fanOut.waiting).toBe(0);
    expect(sent.mock.calls).toEqual([[4, 100]]);
    await shard.answer();
    expect(log.heard).toEqual(answered(0, 100));
  });

  test('is at work on two batches at most; what comes meanwhile travels together', async () => {
    const shard = new HeldShard();
    const fanOut = new FanOut(shard, 0, undefined);
    const log = new Log();
    for (let at = 0; at < 5; at += 1) {
      ask(fanOut, log, at * 10, at * 10 + 10);
      await turn();
    }
    expect(shard.batches).toEqual([words(0, 10), words(10, 20)]);
    expect(fanOut.waiting).toBe(30);
    await shard.answer();
    expect(shard.batches[2]).toEqual(words(20, 50));
    expect(log.heard).toEqual(answered(0, 10));
    await shard.answer();
    await shard.answer();
    expect(log.heard).toEqual(answered(0, 50));
  });

  test('is sent no more than questionsPerTaskMax at once', async () => {
    const shard = new HeldShard();
    const sent = vi.fn();
    const fanOut = new FanOut(shard, 0, { sent });
    const log = new Log();
    const count = 3 * questionsPerTaskMax + 7;
    ask(fanOut, log, 0, count);
    await turn();
    expect(fanOut.waiting).toBe(questionsPerTaskMax + 7);
    for (let batch = 0; batch < 4; batch += 1) await shard.answer();
    const full = questionsPerTaskMax;
    expect(sent.mock.calls.map(([, questions]) => questions as number)).toEqual([full, full, full, 7]);
    expect(log.heard).toEqual(answered(0, count));
  });

  test('that is behind refuses what is beyond questionsWaitingMax, and only that', async () => {
    const shard = new HeldShard();
    const fanOut = new FanOut(shard, 3, undefined);
    const log = new Log();
    ask(fanOut, log, 0, questionsWaitingMax);
    expect(log.heard).toEqual([]);
    ask(fanOut, log, questionsWaitingMax, questionsWaitingMax + 2);
    const overloaded = expect.objectContaining({ code: 'OVERLOADED', retryAfterSeconds: 1 });
    expect(log.heard).toEqual([
      [questionsWaitingMax, overloaded],
      [questionsWaitingMax + 1, overloaded],
    ]);
    log.heard.length = 0;
    await turn();
    // Two batches have left, so there is room again.
    ask(fanOut, log, questionsWaitingMax, questionsWaitingMax + 5);
    expect(log.heard).toEqual([]);
    for (let batch = 0; batch <= questionsWaitingMax / questionsPerTaskMax; batch += 1) await shard.answer();
    expect(log.heard).toEqual(answered(0, questionsWaitingMax + 5));
    expect(fanOut.waiting).toBe(0);
  });

  test('that fails refuses the whole batch with its reason, and the next one is sent all the same', async () => {
    const shard = new HeldShard();
    const fanOut = new FanOut(shard, 0, undefined);
    const log = new Log();
    for (let at = 0; at < 3; at += 1) {
      ask(fanOut, log, at * 3, at * 3 + 3);
      await turn();
    }
    const reason = new Error('lost');
    await shard.fail(reason);
    expect(log.heard).toEqual(words(0, 3).map((word) => [word, reason]));
    expect(shard.batches[2]).toEqual(words(6, 9));
    await shard.answer();
    await shard.answer();
    expect(log.heard.slice(3)).toEqual(answered(3, 9));
  });
});

describe('a shard that answers at once', () => {
  class PresentShard extends HeldShard {
    askNow(questions: Uint32Array): Answers {
      if (questions[1] === 3) throw new Error('not this one');
      return { numbers: Uint32Array.of(1, questions[1]), json: new Uint8Array(0) };
    }
  }

  test('is asked one question at a time, when the turn ends', async () => {
    const sent = vi.fn();
    const fanOut = new FanOut(new PresentShard(), 2, { sent });
    const log = new Log();
    ask(fanOut, log, 0, 3);
    expect([log.heard.length, fanOut.waiting]).toEqual([0, 3]);
    await turn();
    expect(log.heard).toEqual(answered(0, 3));
    expect(fanOut.waiting).toBe(0);
    expect(sent.mock.calls).toEqual([[2, 3]]);
  });

  test('fails the question that it throws at, and no other', async () => {
    const fanOut = new FanOut(new PresentShard(), 0, undefined);
    const log = new Log();
    ask(fanOut, log, 2, 5);
    await turn();
    expect(log.heard).toHaveLength(3);
    expect(log.heard[0]).toEqual(answered(2, 3)[0]);
    expect(log.heard[1]).not.toEqual(answered(3, 4)[0]);
    expect(log.heard[2]).toEqual(answered(4, 5)[0]);
  });
});

describe('an engine over threads', () => {
  const changes = Array.from({ length: 2000 }, (_, index) => ({
    userId: `@${index % 20}:x`,
    roomId: `!${Math.floor(index / 20) % (1 + (index % 20) * 5)}:x`,
    joined: true,
  }));

  /** As the server has it. */
  async function openServed() {
    const sent = vi.fn();
    const onShardFailure = vi.fn();
    const { result: engine, workers } = await startedBy(async () =>
      openEngine({ shards: 2, observer: { sent }, onShardFailure }),
    );
    const { directory, shards, answerer } = engine;
    onTestFinished(async () => shards.close());
    const apply = async (list: readonly Change[]): Promise<number> =>
      shards.follow(shards.from, await numberChanges(directory, list));
    const join = async (userId: string, roomId: string): Promise<number> =>
      apply([{ userId, roomId, joined: true }]);
    const shares = async (userId: string, otherId: string): Promise<boolean> =>
      (await answerer.sharesMany(userId, [otherId]))[0];
    await apply(changes);
    return { engine, ...engine, apply, join, shares, workers, sent, onShardFailure };
  }

  /** As the library has it. */
  async function openFace() {
    const onShardFailure = vi.fn();
    const { result: engine, workers } = await startedBy(async () =>
      MembershipEngine.open({ shards: 2, onShardFailure }),
    );
    onTestFinished(async () => engine.close());
    await engine.apply(changes.map(({ userId, roomId }) => record(userId, roomId)));
    return { engine, workers, onShardFailure };
  }

  test('sends each shard the questions of one turn in one batch, and answers each with its own', async () => {
    const { answerer, sent } = await openServed();
    // All of them have rooms in both shards.
    const users = Array.from({ length: 200 }, (_, index) => `@${5 + (index % 15)}:x`);
    const together = await Promise.all([
      ...users.map(async (user) => answerer.mutual([user, '@19:x'], { limit: 90 })),
      answerer.sharesMany('@3:x', users),
    ]);
    expect(sent.mock.calls.toSorted()).toEqual([
      [0, 201],
      [1, 201],
    ]);
    const apart: unknown[] = [];
    for (const user of users) apart.push(await answerer.mutual([user, '@19:x'], { limit: 90 }));
    apart.push(await answerer.sharesMany('@3:x', users));
    expect(together).toEqual(apart);
    expect(sent.mock.calls.slice(2)).toEqual(users.concat('').flatMap(() => [[0, 1], [1, 1]])); // prettier-ignore
  });

  test('asks only shards in which all users may have rooms, and one where there is none', async () => {
    const { answerer, apply, join, sent } = await openServed();
    const [first, second] = roomsByShard(
      Array.from({ length: 40 }, (_, index) => `!only${index}:x`),
      2,
    );
    await join('@first:x', first[0]);
    await join('@second:x', second[0]);
    for (const room of [first[1], second[1]]) await join('@both:x', room);
    const asked = async (question: () => Promise<unknown>): Promise<unknown> => {
      sent.mockClear();
      const answer = await question();
      return [answer, sent.mock.calls.map(([shard]) => Number(shard))];
    };
    const none = { rooms: [], count: 0, more: false };
    expect(await asked(async () => answerer.mutual(['@first:x', '@both:x']))).toEqual([none, [0]]);
    expect(await asked(async () => answerer.mutual(['@both:x', '@second:x']))).toEqual([none, [1]]);
    expect(await asked(async () => answerer.mutual(['@both:x']))).toMatchObject([{ count: 2 }, [0, 1]]);
    for (const pair of [
      ['@first:x', '@second:x'],
      ['@nobody:x', '@both:x'],
    ])
      expect(await asked(async () => answerer.mutual(pair))).toEqual([none, [expect.any(Number)]]);
    const others = ['@second:x', '@nobody:x', '@both:x'];
    expect(await asked(async () => answerer.sharesMany('@first:x', others))).toEqual([
      [false, false, false],
      [0],
    ]);
    // A user who comes to a shard is found there, and one who has left every room is in none.
    await join('@first:x', second[0]);
    expect(await asked(async () => answerer.mutual(['@first:x', '@second:x']))).toMatchObject([
      { rooms: [second[0]] },
      [1],
    ]);
    await apply([first[0], second[0]].map((roomId) => ({ userId: '@first:x', roomId, joined: false })));
    expect(await asked(async () => answerer.mutual(['@first:x']))).toMatchObject([{ count: 0 }, {}]);
  });

  test('answers questions between the slices of a long list, and keeps the order of what comes after it', async () => {
    const { engine } = await openFace();
    const list = Array.from({ length: changesPerTaskMax * 40 }, (_, index) =>
      record(`@long${index % 50}:x`, `!long${index}:x`),
    );
    const order: string[] = [];
    const note = (name: string) => () => void order.push(name);
    const joined = engine.apply(list).finally(note('joined'));
    const left = engine.apply(list.map((join) => ({ ...join, membership: 'leave' }))).finally(note('left'));
    const forgotten = engine.forgetUser('@1:x').finally(note('forgotten'));
    const rejoined = engine.join('@1:x', '!again:x').finally(note('rejoined'));
    await engine.mutual(['@2:x', '@3:x']).finally(note('answered'));
    expect(await Promise.all([joined, left])).toEqual([
      { applied: list.length, ignored: 0 },
      { applied: list.length, ignored: 0 },
    ]);
    expect([await forgotten, await rejoined]).toEqual([6, true]);
    expect(order).toEqual(['answered', 'joined', 'left', 'forgotten', 'rejoined']);
    expect((await engine.roomsOf('@1:x')).rooms).toEqual(['!again:x']);
    expect((await engine.roomsOf('@long7:x')).count).toBe(0);
  });

  test('a long list with one bad ID changes nothing, and what the caller does to the list later neither', async () => {
    const { engine } = await openFace();
    const list = Array.from({ length: changesPerTaskMax * 3 }, (_, index) =>
      record('@long:x', `!kept${index}:x`),
    );
    const bad = [...list, record('@long:x', '')];
    await expect(engine.apply(bad)).rejects.toMatchObject({ code: 'INVALID' });
    expect((await engine.roomsOf('@long:x')).count).toBe(0);
    const { length } = list;
    const applied = engine.apply(list);
    list.length = 0;
    expect(await applied).toEqual({ applied: length, ignored: 0 });
    expect((await engine.roomsOf('@long:x')).count).toBe(length);
  });

  test('sends no more in one task than it may cost, and refuses what would wait for too long', async () => {
    const { answerer, sent } = await openServed();
    const pages = async (count: number) =>
      Promise.allSettled(Array.from({ length: count }, async () => answerer.mutual(['@1:x', '@2:x'])));
    expect(new Set((await pages(50)).map(({ status }) => status))).toEqual(new Set(['fulfilled']));
    expect(Math.max(...sent.mock.calls.map(([, questions]) => Number(questions)))).toBeLessThanOrEqual(2);
    const outcomes = await pages(1_200);
    expect(outcomes[0].status).toBe('fulfilled');
    expect(outcomes.at(-1)).toMatchObject({ status: 'rejected', reason: { code: 'OVERLOADED' } });
    expect((await answerer.mutual(['@1:x', '@2:x'])).count).toBeGreaterThan(0);
  });

  test('refuses questions beyond the bound; those before are answered', async () => {
    const { shards, shares } = await openServed();
    const calls = Array.from({ length: questionsWaitingMax + 3 }, async () => shares('@1:x', '@2:x'));
    expect(shards.fanOuts.map(({ waiting }) => waiting)).toEqual([questionsWaitingMax, questionsWaitingMax]);
    const outcomes = await Promise.allSettled(calls);
    const refused = outcomes.flatMap((outcome, index) => (outcome.status === 'rejected' ? [index] : []));
    expect(refused).toEqual([0, 1, 2].map((index) => questionsWaitingMax + index));
    expect(outcomes.at(-1)).toMatchObject({ reason: { code: 'OVERLOADED' } });
    for (const outcome of outcomes.slice(0, questionsWaitingMax)) {
      if (outcome.status !== 'fulfilled' || !outcome.value)
        expect.fail('a question before the bound was refused');
    }
    expect(shards.fanOuts.map(({ waiting }) => waiting)).toEqual([0, 0]);
    expect(await shares('@1:x', '@2:x')).toBe(true);
  });

  test('that loses one of its shards answers nothing any more, not even half', async () => {
    const { engine, answerer, shards, shares, workers, onShardFailure } = await openServed();
    expect(shards.failure).toBeUndefined();
    const calls = (): Promise<unknown>[] => [
      answerer.mutual(['@1:x', '@2:x']),
      answerer.mutual(['@unknown:x']),
      answerer.mutualPage(['@1:x', '@2:x'], 0, 10),
      answerer.sharesMany('@1:x', ['@2:x', '@3:x']),
      answerer.mutual(['@19:x'], { limit: 0 }),
      shares('@1:x', '@2:x'),
      statsOf(engine),
      shards.list(0, 10),
      countMembers(engine),
    ];
    const underWay = Promise.allSettled(calls());
    await workers[1].terminate();
    for (const outcome of await underWay) {
      // What both threads had answered before one of them ended is whole.
      if (outcome.status === 'rejected') expect(outcome.reason).toMatchObject({ code: 'UNAVAILABLE' });
    }
    await vi.waitFor(() => expect(shards.failure).toBeTruthy());
    for (const outcome of await Promise.allSettled(calls())) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } });
    }
    expect(onShardFailure.mock.calls).toEqual([[expect.any(Number), shards.failure]]);
    await shards.close();
    await expectAllEnded(workers);
  });

  test('that loses one of its shards answers nothing any more, as the library has it', async () => {
    const { engine, workers, onShardFailure } = await openFace();
    const calls = (): Promise<unknown>[] => [
      engine.mutual(['@1:x', '@2:x']),
      engine.sharesMany('@1:x', ['@2:x', '@3:x']),
      engine.roomsOf('@19:x', { limit: 0 }),
      engine.join('@1:x', '!new:x'),
      engine.forgetUser('@1:x'),
      engine.forgetRoom('!0:x'),
      engine.stats(),
    ];
    await workers[1].terminate();
    await vi.waitFor(() => expect(engine.failure).toBeTruthy());
    for (const outcome of await Promise.allSettled(calls())) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } });
    }
    expect(onShardFailure.mock.calls).toEqual([[expect.any(Number), engine.failure]]);
    await engine.close();
    await expectAllEnded(workers);
  });

  test('that is closed refuses what is under way and what comes', async () => {
    const { engine, workers, onShardFailure } = await openFace();
    const underWay = Promise.allSettled([engine.mutual(['@1:x']), engine.join('@1:x', '!new:x')]);
    await engine.close();
    for (const outcome of await underWay) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } });
    }
    await expect(engine.mutual(['@1:x'])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(engine.join('@1:x', '!new:x')).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    expect(onShardFailure).not.toHaveBeenCalled();
    await expectAllEnded(workers);
  });
});

test.each([-1, 65, 1.5, NaN])('an engine of %d shards is refused', async (shards) => {
  await expect(MembershipEngine.open({ shards })).rejects.toMatchObject({ code: 'INVALID' });
});

test('an engine has as many shards as it was told, and at least one', async () => {
  for (const [shards, shardCount] of [
    [0, 1],
    [1, 1],
    [3, 3],
  ]) {
    const engine = await openEngine({ shards });
    expect([engine.shards.count, engine.shards.fanOuts.length]).toEqual([shardCount, shardCount]);
    await engine.shards.close();
  }
});

describe('an engine on the thread of its caller', () => {
  test('answers questions between the steps of forgetRoom and the slices of a long list', async () => {
    const engine = await MembershipEngine.open();
    const users = usersPerSearchStep * 2 + 10;
    const joins = Array.from({ length: users }, (_, user) => record(`@${user}:x`, '!all:x'));
    const order: string[] = [];
    const note = (name: string) => () => void order.push(name);
    const joined = engine.apply(joins).finally(note('joined'));
    await engine.shares('@0:x', '@1:x').finally(note('answered'));
    expect(await joined).toEqual({ applied: users, ignored: 0 });
    const forgotten = engine.forgetRoom('!all:x').finally(note('forgotten'));
    await engine.shares('@0:x', '@1:x').finally(note('answered'));
    expect(await forgotten).toBe(users);
    expect(order).toEqual(['answered', 'joined', 'answered', 'forgotten']);
    await engine.close();
  });
});
