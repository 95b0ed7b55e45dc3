/** Does the shard in a thread keep the contract, and does it fail whole, once and for good when its thread dies? */
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import { partitionRanges, type RoomNo, type UserNo } from '../../src/base/ids.js';
import { roomInterner } from '../../src/directory/interner.js';
import { PooledShard } from '../../src/shard/pooled-shard.js';
import { changeWord } from '../../src/log/changes.js';
import { pageQuestion, sharesQuestion } from '../../src/shard/wire.js';
import { describeLoadedShard, describeShard } from '../contract/shard-contract.js';
import { expectAllEnded, startedBy } from './started-workers.js';

const [everything] = partitionRanges(1);

describeShard('PooledShard', async (options) => PooledShard.open(options));
describeLoadedShard('PooledShard', async (options) => PooledShard.open(options));

describe('a thread that dies', () => {
  const alice = 1 as UserNo;
  const unavailable = { code: 'UNAVAILABLE', retryAfterSeconds: 30 };

  async function openShard() {
    const onFailure = vi.fn<(reason: string) => void>();
    const rooms = roomInterner();
    const { result: shard, workers } = await startedBy(async () =>
      PooledShard.open({ partitions: everything, names: rooms.names, onFailure }),
    );
    onTestFinished(async () => shard.close());
    expect(workers).toHaveLength(1);
    const list = Array.from({ length: 800 }, (_, index) => rooms.intern(`!${index}:x`));
    // Two users of 400 rooms each, none in common.
    await shard.follow(
      1,
      Uint32Array.from(list.flatMap((room, index) => [1 + (index % 2), changeWord(room, true)])),
    );
    return { shard, workers, onFailure, room: list[0] };
  }

  /** About a second of work: whether it shares a room with each of these is looked through to the end. */
  function longQuestions(): Uint32Array {
    const question = sharesQuestion(alice, new Array<UserNo>(10_000).fill(2 as UserNo));
    const questions = new Uint32Array(100 * question.length);
    for (let index = 0; index < 100; index += 1) questions.set(question, index * question.length);
    return questions;
  }

  async function expectDead(shard: PooledShard, room: RoomNo): Promise<void> {
    const calls = [
      () => shard.ask(pageQuestion([alice], 0, 10, true)),
      () => shard.ask(new Uint32Array(0)),
      () => shard.follow(2, Uint32Array.of(alice, changeWord(room, true))),
      () => shard.follow(3, new Uint32Array(0)),
      () => shard.list(0, 10),
      () => shard.members(0),
      () => shard.stats(),
    ];
    for (let round = 0; round < 2; round += 1) {
      for (const call of calls) await expect(call()).rejects.toMatchObject(unavailable);
    }
  }

  test('while idle: the failure is known though nobody asks', async () => {
    const { shard, workers, onFailure, room } = await openShard();
    await workers[0].terminate();
    await vi.waitFor(() => expect(shard.failure).toBe('its worker thread ended'));
    await expectDead(shard, room);
    expect(onFailure.mock.calls).toEqual([[shard.failure]]);
    await expectAllEnded(workers);
  });

  test('while idle, with an error', async () => {
    const { shard, workers, onFailure, room } = await openShard();
    workers[0].emit('error', new Error('out of memory'));
    expect(shard.failure).toBe('its worker thread died: out of memory');
    await expectDead(shard, room);
    expect(onFailure.mock.calls).toEqual([[shard.failure]]);
    await expectAllEnded(workers);
  });

  test('and is asked at once: the thread in its place answers nothing', async () => {
    const { shard, workers, onFailure, room } = await openShard();
    const ended = workers[0].terminate();
    const calls: Promise<PromiseSettledResult<unknown>[]>[] = [];
    // Before, while and after the end becomes known.
    for (let turn = 0; turn < 20; turn += 1) {
      calls.push(Promise.allSettled([shard.ask(pageQuestion([alice], 0, 10, false)), shard.stats()]));
      await sleep(turn % 4);
    }
    await ended;
    for (const outcome of (await Promise.all(calls)).flat()) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: unavailable });
    }
    await expectDead(shard, room);
    expect(onFailure).toHaveBeenCalledOnce();
    await expectAllEnded(workers);
  });

  test('while busy: what is at work, on its way and waiting is refused', async () => {
    const { shard, workers, onFailure, room } = await openShard();
    const calls = [
      shard.ask(longQuestions()),
      shard.ask(longQuestions()),
      shard.ask(longQuestions()),
      shard.follow(2, Uint32Array.of(alice, changeWord(room, false))),
      shard.list(alice, alice + 1),
      shard.stats(),
    ];
    const outcomes = Promise.allSettled(calls);
    await sleep(50);
    await workers[0].terminate();
    for (const outcome of await outcomes) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: unavailable });
    }
    expect(shard.failure).toBeTruthy();
    await expectDead(shard, room);
    expect(onFailure.mock.calls).toEqual([[shard.failure]]);
    await expectAllEnded(workers);
  });

  test('by an assertion: the shard says which', async () => {
    const { shard, workers, onFailure, room } = await openShard();
    const [before, malformed, after] = await Promise.allSettled([
      shard.ask(sharesQuestion(alice, [alice])),
      shard.ask(Uint32Array.of(7, 7, 7)),
      shard.stats(),
    ]);
    expect(malformed).toMatchObject({ status: 'rejected', reason: unavailable });
    expect((malformed as PromiseRejectedResult).reason.cause.message).toBe('a question is of a known kind');
    // What was on its way is answered by the thread that was, or refused; never by another one.
    if (before.status === 'fulfilled') expect(before.value.numbers).toEqual(Uint32Array.of(1, 1));
    else expect(before.reason).toMatchObject(unavailable);
    if (after.status === 'fulfilled') expect(after.value.memberships).toBe(800);
    else expect(after.reason).toMatchObject(unavailable);
    expect(shard.failure).toBe('a question is of a known kind');
    await expectDead(shard, room);
    expect(onFailure.mock.calls).toEqual([['a question is of a known kind']]);
    await expectAllEnded(workers);
  });

  test('because it is closed: calls under way are refused, and that is no failure to tell of', async () => {
    const { shard, workers, onFailure } = await openShard();
    const calls = Promise.allSettled([shard.ask(longQuestions()), shard.stats(), shard.stats()]);
    await sleep(20);
    await shard.close();
    for (const outcome of await calls) {
      expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } });
    }
    expect(shard.failure).toBe('closed');
    expect(onFailure).not.toHaveBeenCalled();
    await expectAllEnded(workers);
  });

  test('and is closed at once: no thread is started in its place', async () => {
    const { shard, workers } = await openShard();
    await expect(shard.ask(Uint32Array.of(7, 7, 7))).rejects.toMatchObject(unavailable);
    await Promise.all([shard.close(), shard.close()]);
    await sleep(200);
    expect(workers).toHaveLength(1);
    await expectAllEnded(workers);
  });
});
