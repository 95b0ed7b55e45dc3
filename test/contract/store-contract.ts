/** What every store must do, on disk or not: a batch is safe whole or not there at all, and names keep their numbers. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { describe, expect, onTestFinished, test } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { loadEngine, statsOf, type Engine } from '../../src/engine/engine.js';
import { PageTokens } from '../../src/engine/page-token.js';
import { Ingest } from '../../src/ingest/ingest.js';
import { Directory } from '../../src/directory/directory.js';
import { changeWord } from '../../src/log/changes.js';
import { Environment } from '../../src/store/lmdb.js';
import type { Store } from '../../src/store/store.js';
import type { Cursor } from '../../src/log/cursor.js';
import { verifyStore } from '../../src/store/verify.js';
import { draftOf } from '../store/draft.js';
import { NaiveIndex } from '../model/naive-index.js';
import { seededRandom } from '../model/random.js';
import { runs } from '../runs.js';

/** @param directory of its own, the same again for the same store */
export type OpenStore = (directory: string) => Promise<Store>;

function newDirectory(): string {
  const directory = mkdtempSync(join(tmpdir(), 'mutual-rooms-contract-'));
  onTestFinished(() => rmSync(directory, { recursive: true, force: true }));
  return directory;
}

const cursor = (source: string, ...bytes: number[]): Cursor => ({
  source,
  value: Uint8Array.from(bytes),
});

const bytesOf = (value: Uint8Array | undefined): number[] | undefined => value && Array.from(value);

/** A store with the names that its numbers are of. */
class Named {
  readonly store: Store;
  readonly directory = new Directory();
  readonly users = this.directory.users;
  readonly rooms = this.directory.rooms;

  static async open(open: OpenStore, directory: string): Promise<Named> {
    const named = new Named(await open(directory));
    onTestFinished(() => named.store.close());
    await named.store.restoreNames(named.directory, () => undefined);
    return named;
  }

  private constructor(store: Store) {
    this.store = store;
  }

  words(changes: readonly Change[]): Uint32Array {
    return Uint32Array.from(
      changes.flatMap(({ userId, roomId, joined }) => [
        this.users.intern(userId),
        changeWord(this.rooms.intern(roomId), joined),
      ]),
    );
  }

  /** @returns its number */
  async commit(changes: readonly Change[], ...cursors: Cursor[]): Promise<number> {
    return this.store.commit(draftOf(this.directory, this.words(changes), cursors));
  }
}

const joins = (userId: string, ...roomIds: string[]): Change[] =>
  roomIds.map((roomId) => ({ userId, roomId, joined: true }));

/** What all stores do. */
export function describeStore(name: string, open: OpenStore): void {
  describe(`${name}: the contract of stores`, () => {
    const openNew = (): Promise<Named> => Named.open(open, newDirectory());

    test('a new one is empty, can be written, and has an identity of its own', async () => {
      const [{ store }, { store: other }] = [await openNew(), await openNew()];
      expect([store.failure, store.debt, store.cursor('feed')]).toEqual([undefined, 0, undefined]);
      expect(store.identity).toMatchObject({ earlier: [] });
      expect(store.identity.tokenKey).toHaveLength(32);
      expect(store.identity.tokenKey.equals(other.identity.tokenKey)).toBe(false);
    });

    test('a cursor is there once the batch that brought it is safe, and not before', async () => {
      const named = await openNew();
      const { store } = named;
      await named.commit(joins('@a:x', '!r'), cursor('feed', 1, 2), cursor('other', 9));
      expect([bytesOf(store.cursor('feed')), bytesOf(store.cursor('other'))]).toEqual([[1, 2], [9]]);
      // A batch that says nothing of a source leaves it where it was.
      await named.commit(joins('@b:x', '!r'));
      await named.commit([], cursor('feed', 3));
      expect([bytesOf(store.cursor('feed')), bytesOf(store.cursor('other'))]).toEqual([[3], [9]]);
      await named.commit([], cursor('feed'));
      expect(bytesOf(store.cursor('feed'))).toEqual([]);
      expect(store.cursor('toString')).toBeUndefined();
    });

    test('each of many commits in a row is seen at once, without a pause', async () => {
      const named = await openNew();
      for (let round = 0; round < 200; round += 1) {
        await named.commit(joins(`@${round}:x`, '!r'), cursor('feed', round));
        expect(bytesOf(named.store.cursor('feed'))).toEqual([round]);
      }
    });

    test('a cursor is a copy, both ways', async () => {
      const named = await openNew();
      const value = Uint8Array.of(1, 2, 3);
      await named.store.commit(draftOf(named.directory, new Uint32Array(0), [{ source: 'feed', value }]));
      value.fill(7);
      const read = named.store.cursor('feed');
      await named.commit(joins('@a:x', '!r'), cursor('feed', 4, 4, 4), cursor('other', 5, 5, 5));
      named.store.cursor('other');
      await sleep(0);
      named.store.cursor('feed');
      expect(bytesOf(read)).toEqual([1, 2, 3]);
    });

    test('names of sources are kept apart, whatever they are', async () => {
      const named = await openNew();
      const sources = ['', 'a', 'a:b', ':', '☕', '__proto__', 's'.repeat(200)];
      await named.commit([], ...sources.map((source, index) => cursor(source, index)));
      expect(sources.map((source) => bytesOf(named.store.cursor(source)))).toEqual(
        sources.map((_, index) => [index]),
      );
    });

    test('a batch of nothing is safe at once, and work that was put off can always be asked for', async () => {
      const named = await openNew();
      await named.commit([]);
      expect(named.store.debt).toBe(0);
      await named.store.settle();
      await named.commit(joins('@a:x', '!r'), cursor('feed', 1));
      await named.store.settle();
      expect([named.store.debt, bytesOf(named.store.cursor('feed'))]).toEqual([0, [1]]);
    });

    test('commits have the numbers from 1 on, whatever is in them', async () => {
      const named = await openNew();
      expect(named.store.last).toBe(0);
      expect([
        await named.commit(joins('@a:x', '!r')),
        await named.commit([]),
        await named.commit([], cursor('feed', 1)),
        await named.commit(joins('@b:x', '!r')),
      ]).toEqual([1, 2, 3, 4]);
      expect(named.store.last).toBe(4);
    });

    test('once closed it says so, refuses every batch, and closes again without complaint', async () => {
      const named = await openNew();
      await named.commit(joins('@a:x', '!r'));
      const changes = named.words(joins('@b:x', '!r'));
      await named.store.close();
      expect(named.store.failure).toBe('the store is closed');
      for (let again = 0; again < 2; again += 1) {
        await expect(named.store.commit(draftOf(named.directory, changes))).rejects.toMatchObject({
          name: 'PublicError',
          code: 'UNAVAILABLE',
          message: 'the store is closed',
        });
        await named.store.close();
      }
    });
  });
}

/** What stores with a path do, beside that. */
export function describeDurableStore(name: string, open: OpenStore): void {
  describe(`${name}: what was committed is there again`, () => {
    /** Names at the borders of words and blocks, names that JSON escapes, and enough of them for several blocks. */
    const userIds = Array.from({ length: 150 }, (_, index) =>
      index % 50 === 7 ? `@"${index}\\☕\n` : `@${'u'.repeat(index % 9)}${index}:example.org`,
    ).concat(`@${'long'.repeat(255)}`);
    const roomIds = Array.from({ length: 400 }, (_, index) =>
      index % 90 === 8 ? `!"${index}\té` : `!${'r'.repeat(index % 7)}${index}:example.org`,
    ).concat('!', `!${'x'.repeat(1023)}`);

    function anyChanges(seed: number, count: number): Change[] {
      const random = seededRandom(seed);
      const changes = Array.from({ length: count }, () => ({
        userId: userIds[random(userIds.length)],
        roomId: roomIds[random(roomIds.length)],
        joined: random(4) > 0,
      }));
      // Somebody is everywhere.
      return [...changes, ...joins(userIds[0], ...roomIds)];
    }

    interface Served {
      readonly store: Store;
      readonly engine: Engine;
      readonly ingest: Ingest;
      close(): Promise<void>;
    }

    async function serve(directory: string, shards: number): Promise<Served> {
      const store = await open(directory);
      const engine = await loadEngine(store, { shards, onProgress: () => undefined });
      const close = async (): Promise<void> => {
        await engine.shards.close();
        await store.close();
      };
      onTestFinished(close);
      return { store, engine, ingest: new Ingest(engine, store), close };
    }

    async function expectState({ engine }: Served, model: NaiveIndex): Promise<void> {
      // Together, since each question alone waits for the threads.
      const pages = await Promise.all(userIds.map((userId) => engine.answerer.mutual([userId])));
      for (const [at, { rooms, count }] of pages.entries())
        expect([count, rooms.toSorted()]).toEqual([rooms.length, model.roomsOf(userIds[at])]);
      const pairs = userIds.slice(1, 40).map((other) => [userIds[0], other]);
      const shared = await Promise.all(pairs.map((pair) => engine.answerer.mutual(pair)));
      for (const [at, { rooms }] of shared.entries())
        expect(rooms.toSorted()).toEqual(model.mutual(pairs[at]));
      expect((await statsOf(engine)).memberships).toBe(model.count);
    }

    const restarts = [
      [0, 5],
      [5, 2],
      [1, 0],
      [2, 1],
    ];

    test.each(restarts.slice(0, runs(1, restarts.length)))(
      'with %i shards, then %i, then 0',
      async (before, after) => {
        const directory = newDirectory();
        const model = new NaiveIndex();
        const binding = { purpose: 'mutual', userId: userIds[0], otherId: userIds[0] };
        const first = await serve(directory, before);
        for (let batch = 0; batch < 6; batch += 1) {
          const changes = anyChanges(before * 10 + batch, batch * batch * 40 + 1);
          model.apply(changes);
          await first.ingest.apply(changes, cursor('feed', batch));
        }
        await expectState(first, model);
        const { identity } = first.store;
        const firstPage = await first.engine.answerer.mutualPage([userIds[0], userIds[0]], 0, 150);
        const token = new PageTokens({ identity }).seal(firstPage.nextStart ?? -1, binding);
        const whole = await first.engine.answerer.mutualPage([userIds[0]], 0, 10_000);
        await first.close();

        const second = await serve(directory, after);
        await expectState(second, model);
        expect(second.store.identity).toEqual(identity);
        expect(bytesOf(second.store.cursor('feed'))).toEqual([5]);
        const start = new PageTokens({ identity: second.store.identity }).open(token, binding);
        const rest = await second.engine.answerer.mutualPage([userIds[0], userIds[0]], start, 10_000);
        expect([...firstPage.rooms, ...rest.rooms]).toEqual([...whole.rooms]);
        const more = [...anyChanges(77, 300), ...joins('@new:x', '!new', roomIds[3])];
        model.apply(more);
        await second.ingest.apply(more);
        await expectState(second, model);
        await second.close();

        const third = await serve(directory, 0);
        await expectState(third, model);
        expect((await third.engine.answerer.mutual(['@new:x'])).rooms.toSorted()).toEqual(
          ['!new', roomIds[3]].toSorted(),
        );
        await third.close();
        await verifyStore(third.store.path!);
      },
    );

    test('names keep their numbers, over and over', async () => {
      const directory = newDirectory();
      const numbers = new Map<string, number>();
      for (let round = 0; round < 6; round += 1) {
        const named = await Named.open(open, directory);
        expect(named.users.count + named.rooms.count).toBe(numbers.size);
        for (const [text, number] of numbers) {
          const interner = text.startsWith('@') ? named.users : named.rooms;
          expect([interner.find(text), interner.names.text(number)]).toEqual([number, text]);
        }
        // 1, 31, 32, 33, ... more: over the borders of blocks.
        for (let index = 0; index < [1, 31, 1, 32, 33, 64][round]; index += 1) {
          const change = { userId: `@${round}.${index}`, roomId: `!${round}.${index}`, joined: true };
          await named.commit([change]);
          numbers.set(change.userId, named.users.find(change.userId));
          numbers.set(change.roomId, named.rooms.find(change.roomId));
        }
        await named.store.close();
      }
      expect(
        new Set([...numbers].filter(([text]) => text.startsWith('@')).map(([, number]) => number)).size,
      ).toBe(numbers.size / 2);
    });

    test('numbers of commits go on after a start, and a batch that was rejected takes none', async () => {
      const directory = newDirectory();
      for (let start = 0; start < 4; start += 1) {
        const named = await Named.open(open, directory);
        expect(named.store.last).toBe(start * 3);
        expect(await named.commit(joins(`@${start}:x`, '!r'))).toBe(start * 3 + 1);
        const environment = new Environment({ path: named.store.path! });
        const owner = environment.getMeta('owner')!;
        environment.write(() => environment.putMeta('owner', { ...owner, instance: 'another' }));
        await expect(named.commit(joins('@lost:x', '!r'))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
        environment.write(() => environment.putMeta('owner', owner));
        await environment.close();
        expect(await named.commit([], cursor('feed', start))).toBe(start * 3 + 2);
        expect(await named.commit(joins(`@${start}:y`, '!r'))).toBe(start * 3 + 3);
        await named.store.close();
      }
    });

    test('a batch that was rejected is not there, nor its cursor; its names come with the next one', async () => {
      const directory = newDirectory();
      const named = await Named.open(open, directory);
      const { store } = named;
      await named.commit(joins('@a:x', '!a'), cursor('feed', 1));
      const environment = new Environment({ path: store.path! });
      const owner = environment.getMeta('owner')!;
      environment.write(() => environment.putMeta('owner', { ...owner, instance: 'another' }));
      // Names for several blocks: what is left out must be written from its first one on.
      const lost = Array.from({ length: 100 }, (_, index) =>
        joins(`@lost${index}:x`, `!lost${index}`),
      ).flat();
      for (let again = 0; again < 2; again += 1) {
        await expect(named.commit(lost, cursor('feed', 2))).rejects.toMatchObject({ code: 'UNAVAILABLE' });
        expect(bytesOf(store.cursor('feed'))).toEqual([1]);
      }
      environment.write(() => environment.putMeta('owner', owner));
      await environment.close();
      // First with no name that is newer than those: they are not forgotten for that.
      await named.commit(joins('@lost7:x', '!lost3'), cursor('feed', 3));
      expect(bytesOf(store.cursor('feed'))).toEqual([3]);
      expect(await verifyStore(store.path!)).toMatchObject({ users: 101, rooms: 101, recentChanges: 2 });
      await named.commit(joins('@b:x', '!lost99', '!b'));
      const numberOf = new Map(['@b:x', '@lost0:x'].map((userId) => [userId, named.users.find(userId)]));
      await store.close();
      await verifyStore(store.path!);

      const served = await serve(directory, 2);
      expect((await statsOf(served.engine)).memberships).toBe(4);
      expect((await served.engine.answerer.mutual(['@b:x'])).rooms.toSorted()).toEqual(['!b', '!lost99']);
      for (const { userId } of lost) {
        const expected = userId === '@lost7:x' ? ['!lost3'] : [];
        expect((await served.engine.answerer.mutual([userId])).rooms).toEqual(expected);
      }
      await served.close();
      const again = await Named.open(open, directory);
      for (const [userId, number] of numberOf) expect(again.users.find(userId)).toBe(number);
    });

    test('a commit under way when it is closed is there whole, or was refused', async () => {
      const directory = newDirectory();
      const named = await Named.open(open, directory);
      const outcomes: Promise<boolean>[] = [];
      for (let index = 0; index < 3; index += 1) {
        outcomes.push(
          named.commit(joins(`@${index}`, '!a', '!b', '!c')).then(
            () => true,
            () => false,
          ),
        );
      }
      await named.store.close();
      const kept = await Promise.all(outcomes);
      const { engine } = await serve(directory, 0);
      for (const [index, isKept] of kept.entries())
        expect((await engine.answerer.mutual([`@${index}`])).count).toBe(isKept ? 3 : 0);
    });

    test('progress ends at all of it', async () => {
      const directory = newDirectory();
      const first = await Named.open(open, directory);
      await first.commit(userIds.flatMap((userId, index) => joins(userId, roomIds[index])));
      await first.store.close();
      const store = await open(directory);
      onTestFinished(() => store.close());
      const told: [number, number][] = [];
      await store.restoreNames(new Directory(), (done, total) => told.push([done, total]));
      expect(told.at(-1)).toEqual([userIds.length * 2, userIds.length * 2]);
    });
  });
}
