/** Does a shard that fails come back with everything, lose no change meanwhile, and never give a part of an answer? */
import { renameSync } from 'node:fs';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test, vi } from 'vitest';
import type { RoomNo } from '../../src/base/ids.js';
import type { Change } from '../../src/base/change.js';
import { ReloadedShard } from '../../src/shard/reloaded-shard.js';
import { changeWord } from '../../src/log/changes.js';
import { pageQuestion } from '../../src/shard/wire.js';
import { describeLoadedShard, describeShard } from '../contract/shard-contract.js';
import { NaiveIndex } from '../model/naive-index.js';
import { seededRandom } from '../model/random.js';
import { KeptStore, ids, joins, newFolder } from '../store/kept-store.js';
import { AnswerReader } from './answer-reader.js';
import { breakAfter } from './broken-changes.js';
import { expectAllEnded, type Started } from './started-workers.js';
import { inline, openWatched, pooled, type Watched } from './watched-shard.js';

describeShard('ReloadedShard, inline', (options) => ReloadedShard.open({ ...options, start: inline }));
describeLoadedShard('ReloadedShard, inline', (options) => ReloadedShard.open({ ...options, start: inline }));

describeShard('ReloadedShard that has been loaded again, inline', async ({ names }) => {
  const kept = await KeptStore.open(newFolder());
  onTestFinished(() => kept.close());
  const {
    result: { shard, onReload },
  } = await openWatched(names, inline);
  await shard.load(kept.path, () => undefined);
  breakAfter(0);
  // In a store that holds no such commit: when it is made again, it is made whole.
  const back = shard.follow(1, Uint32Array.of(1, changeWord(1 as RoomNo, true)));
  await vi.waitFor(() => expect(onReload).toHaveBeenCalledOnce(), { timeout: 10_000 });
  expect(await back).toBe(1);
  expect(await shard.follow(1, Uint32Array.of(1, changeWord(1 as RoomNo, false)))).toBe(1);
  return shard;
});

/** A shard beside its store and the plainest index: a change goes into the store first, as the ingest has it. */
class Kept {
  readonly kept: KeptStore;
  readonly watched: Watched;
  readonly workers: Started<Watched>['workers'];
  readonly model = new NaiveIndex();

  static async open(changes: readonly Change[] = [], start = pooled): Promise<Kept> {
    const kept = await KeptStore.open(newFolder());
    onTestFinished(() => kept.close());
    if (changes.length > 0) await kept.commit(changes);
    const { result, workers } = await openWatched(kept.rooms.names, start);
    onTestFinished(() => result.shard.close());
    const loaded = await result.shard.load(kept.path, () => undefined);
    const opened = new Kept(kept, result, workers);
    opened.model.apply(changes);
    expect(loaded.rooms).toBe(new Set(changes.map(({ roomId }) => roomId)).size);
    return opened;
  }

  private constructor(kept: KeptStore, watched: Watched, workers: Started<Watched>['workers']) {
    this.kept = kept;
    this.watched = watched;
    this.workers = workers;
  }

  get shard(): ReloadedShard {
    return this.watched.shard;
  }

  async change(changes: readonly Change[]): Promise<{ acknowledged: Promise<number> }> {
    await this.kept.commit(changes);
    this.model.apply(changes);
    return { acknowledged: this.follow(this.kept.store.last, changes) };
  }

  follow(number: number, changes: readonly Change[]): Promise<number> {
    const words = changes.flatMap(({ userId, roomId, joined }) => [
      this.kept.users.intern(userId),
      changeWord(this.kept.rooms.intern(roomId), joined),
    ]);
    return this.shard.follow(number, Uint32Array.from(words));
  }

  async roomsOf(userId: string): Promise<string[]> {
    const user = this.kept.users.intern(userId);
    const page = new AnswerReader(await this.shard.ask(pageQuestion([user], 0, 10_000, true))).page();
    expect(page.count).toBe(page.rooms.length);
    return (JSON.parse(`[${page.json}]`) as string[]).toSorted();
  }

  async expectAll(userIds: readonly string[]): Promise<void> {
    for (const userId of userIds) expect(await this.roomsOf(userId)).toEqual(this.model.roomsOf(userId));
    expect((await this.shard.stats()).memberships).toBe(this.model.count);
  }

  /** Ends the thread that the shard has now. */
  async kill(): Promise<void> {
    await this.workers.at(-1)!.terminate();
  }

  async expectBack(times: number): Promise<void> {
    await vi.waitFor(() => expect(this.watched.onReload).toHaveBeenCalledTimes(times), { timeout: 20_000 });
    expect(this.shard.failure).toBeUndefined();
  }
}

const users = ids('@', 'user', 6);
const rooms = ids('!', 'room', 40);
const everywhere = users.flatMap((userId) => joinsAll(userId, rooms));

function joinsAll(userId: string, roomIds: readonly string[]): Change[] {
  return roomIds.map((roomId) => joins(userId, roomId));
}

test('while idle: questions are refused until all is there again', async () => {
  const kept = await Kept.open(everywhere);
  for (let times = 1; times <= 3; times += 1) {
    await kept.kill();
    await vi.waitFor(() => expect(kept.shard.failure).toMatch(/it is being loaded again from the store/));
    const [question] = await Promise.allSettled([kept.roomsOf(users[0])]);
    expect(question).toMatchObject({
      status: 'rejected',
      reason: { code: 'UNAVAILABLE', retryAfterSeconds: 30 },
    });
    await expect(kept.shard.stats()).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await expect(kept.shard.members(0)).rejects.toMatchObject({ code: 'UNAVAILABLE' });
    await kept.expectBack(times);
    expect(kept.watched.onFailure).toHaveBeenCalledTimes(times);
    await kept.expectAll(users);
  }
});

test('changes before, while and after are all acknowledged, in their order, and are there', async () => {
  const kept = await Kept.open(everywhere);
  const random = seededRandom(5);
  for (let times = 1; times <= 4; times += 1) {
    const acknowledged: Promise<number>[] = [];
    const order: number[] = [];
    let ended: Promise<void> | undefined;
    for (let batch = 0; batch < 60; batch += 1) {
      // Few memberships, so that batches undo each other.
      const changes = Array.from({ length: 1 + random(20) }, () => ({
        userId: users[random(users.length)],
        roomId: rooms[random(6)],
        joined: random(2) === 0,
      }));
      const made = await kept.change(changes);
      acknowledged.push(made.acknowledged);
      void made.acknowledged.then(() => order.push(batch));
      if (batch === 20) ended = kept.kill();
      if (batch % 7 === 0) await sleep(2);
    }
    await ended;
    await Promise.all(acknowledged);
    expect(order).toEqual(order.map((_, batch) => batch));
    await kept.expectBack(times);
    await kept.expectAll(users);
  }
});

test('rooms that were named since are spelled', async () => {
  const kept = await Kept.open(everywhere);
  await kept.kill();
  await vi.waitFor(() => expect(kept.shard.failure).toBeDefined());
  const { acknowledged } = await kept.change(joinsAll(users[0], ids('!', 'new', 3000)));
  await acknowledged;
  await kept.expectAll(users);
});

test('a store that cannot be read: it is tried again until it can, and changes wait', async () => {
  const kept = await Kept.open(everywhere);
  const away = `${kept.kept.path}.away`;
  renameSync(kept.kept.path, away);
  await kept.kill();
  // Its death, and the load that failed.
  await vi.waitFor(() => expect(kept.watched.onFailure.mock.calls.length).toBeGreaterThanOrEqual(2), {
    timeout: 10_000,
  });
  const changes = joinsAll('@late:x', rooms.slice(0, 3));
  const acknowledged = kept.follow(2, changes);
  kept.model.apply(changes);
  await expect(kept.roomsOf(users[0])).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(kept.watched.onReload).not.toHaveBeenCalled();
  renameSync(away, kept.kept.path);
  await kept.expectBack(1);
  expect(await acknowledged).toBe(3);
  await kept.expectAll([...users, '@late:x']);
});

test('closed while it is loaded again: changes that wait are refused, and no thread stays', async () => {
  const kept = await Kept.open(everywhere);
  await kept.kill();
  await vi.waitFor(() => expect(kept.shard.failure).toBeDefined());
  const waiting = Promise.allSettled([kept.follow(2, [everywhere[0]]), kept.follow(2, [everywhere[1]])]);
  await kept.shard.close();
  for (const outcome of await waiting)
    expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } });
  await expect(kept.follow(3, [everywhere[0]])).rejects.toThrow('the engine is closed');
  await expect(kept.roomsOf(users[0])).rejects.toThrow('the engine is closed');
  expect(kept.watched.onReload).not.toHaveBeenCalled();
  await expectAllEnded(kept.workers);
});

test('before it was loaded there is nothing to load again: it fails for good', async () => {
  const kept = await KeptStore.open(newFolder());
  onTestFinished(() => kept.close());
  const { result, workers } = await openWatched(kept.rooms.names);
  const { shard, onFailure, onReload } = result;
  onTestFinished(() => shard.close());
  await workers.at(-1)!.terminate();
  await vi.waitFor(() => expect(shard.failure).toBe('its worker thread ended'));
  await expect(shard.ask(new Uint32Array(0))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
  expect(onFailure).toHaveBeenCalledOnce();
  expect(onReload).not.toHaveBeenCalled();
  await shard.close();
  await expectAllEnded(workers.slice(-1));
});

describe('changes that fail in the middle, on the thread of the caller', () => {
  test('the whole commit is there once the shard has been loaded again, and nothing is asked before', async () => {
    const kept = await Kept.open(everywhere, inline);
    for (let times = 1; times <= 3; times += 1) {
      const late = ids('@', `late${times}-`, 5);
      const changes = late.flatMap((userId) => joinsAll(userId, rooms.slice(0, 4)));
      breakAfter(7);
      const { acknowledged } = await kept.change([...changes, { ...everywhere[times], joined: false }]);
      expect(kept.shard.failure).toMatch(/no memory for a set; it is being loaded again from the store/);
      expect(() => kept.shard.askNow!(pageQuestion([1], 0, 1, false))).toThrow(/loaded again/);
      const refused = await Promise.allSettled([
        kept.roomsOf(late[0]),
        kept.shard.stats(),
        kept.shard.members(0),
      ]);
      for (const outcome of refused)
        expect(outcome).toMatchObject({ status: 'rejected', reason: { code: 'UNAVAILABLE' } });
      // Its promise resolves when every later question sees the changes: also those of commits behind it.
      const next = await kept.change(joinsAll(`@next${times}:x`, rooms));
      await Promise.all([acknowledged, next.acknowledged]);
      await kept.expectBack(times);
      expect(kept.watched.onFailure).toHaveBeenCalledTimes(times);
      await kept.expectAll([...users, ...late, `@next${times}:x`]);
    }
  });

  test('again while what waited is made: it is loaded once more', async () => {
    const kept = await Kept.open(everywhere, inline);
    // Behind what the store had when it was read, so that they are made again.
    const changes = joinsAll('@late:x', rooms.slice(0, 5));
    breakAfter(2, 3 + everywhere.length + 4);
    expect(await kept.follow(2, changes)).toBe(5);
    kept.model.apply(changes);
    expect(kept.watched.onFailure).toHaveBeenCalledTimes(2);
    expect(kept.watched.onReload).toHaveBeenCalledOnce();
    await kept.expectAll([...users, '@late:x']);
  });
});
