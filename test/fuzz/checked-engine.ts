/**
 * An engine and a synchronous index beside the plainest one: every change is made to all three, and every answer is
 * worked out from the plainest before it is compared. Ranks are its own too: an interner that is told the same names.
 */
import { expect } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { partitionOf, partitionRanges } from '../../src/base/ids.js';
import { openEngine, type Engine } from '../../src/engine/engine.js';
import { MembershipEngine } from '../../src/engine/membership-engine.js';
import { MembershipIndex } from '../../src/engine/membership-index.js';
import { PageTokens } from '../../src/engine/page-token.js';
import { roomInterner } from '../../src/directory/interner.js';
import { NaiveIndex } from '../model/naive-index.js';
import { record } from '../engine/answerers.js';

const tokens = new PageTokens({ identity: { tokenKey: Buffer.alloc(32, 5), epoch: 1, earlier: [] } });

/** Somebody who reads page after page of one question, while the data changes. */
export interface Walk {
  readonly users: readonly string[];
  readonly limit: number;
  /** Of two users: the token of the next page. Of any: where it starts. */
  next: { readonly token: string | undefined; readonly start: number } | undefined;
  /** Every room that a page has held. */
  readonly returned: Set<string>;
  /** The rooms that have been mutual ever since the first page. */
  stable: Set<string>;
  lastRank: number;
}

interface ExpectedPage {
  /** All rooms that the users share. */
  readonly mutual: readonly string[];
  /** How many of them are not before the start. */
  readonly beyond: number;
  readonly rooms: readonly string[];
}

export class CheckedEngine {
  /** The library's face of the same engine that pages are asked for. */
  readonly engine: MembershipEngine;
  readonly #parts: Engine;
  readonly index = new MembershipIndex();
  readonly oracle = new NaiveIndex();
  readonly walks: Walk[] = [];
  /** Walks that came to their end. */
  walksEnded = 0;
  /** Pages that were read in walks. */
  pagesRead = 0;
  readonly #interner = roomInterner();
  readonly #ranks = new Map<string, number>();
  readonly #names = new Map<number, string>();

  static async open(shards: number): Promise<CheckedEngine> {
    return new CheckedEngine(await openEngine({ shards }));
  }

  private constructor(parts: Engine) {
    this.#parts = parts;
    this.engine = MembershipEngine.over(parts);
  }

  /** States one membership through `join` or `leave`. */
  async set(change: Change): Promise<void> {
    const { userId, roomId, joined } = change;
    const news = this.#note([change]).applied === 1;
    const [word, index] = joined ? (['join', this.index] as const) : (['leave', this.index] as const);
    expect(index[word](userId, roomId)).toBe(news);
    expect(await this.engine[word](userId, roomId)).toBe(news);
  }

  async apply(changes: readonly Change[]): Promise<void> {
    await this.applyWithoutWaiting(changes);
  }

  /** What is settled when the call returns is all but the engine's own answer. */
  applyWithoutWaiting(changes: readonly Change[]): Promise<void> {
    const expected = this.#note(changes);
    const records = changes.map(({ userId, roomId, joined }) => record(userId, roomId, joined));
    const applied = this.engine.apply(records);
    expect(this.index.apply(records)).toEqual(expected);
    return applied.then((each) => expect(each).toEqual(expected));
  }

  async forgetUser(userId: string): Promise<void> {
    for (const walk of this.walks) if (walk.users.includes(userId)) walk.stable.clear();
    const count = this.oracle.forgetUser(userId);
    expect(this.index.forgetUser(userId)).toBe(count);
    expect(await this.engine.forgetUser(userId)).toBe(count);
  }

  async forgetRoom(roomId: string): Promise<void> {
    for (const walk of this.walks) walk.stable.delete(roomId);
    const count = this.oracle.forgetRoom(roomId);
    expect(this.index.forgetRoom(roomId)).toBe(count);
    expect(await this.engine.forgetRoom(roomId)).toBe(count);
  }

  async mutual(users: readonly string[], limit: number, after: string | undefined): Promise<void> {
    const options = after === undefined || this.rankOf(after) === -1 ? { limit } : { limit, after };
    const start = options.after === undefined ? 0 : this.rankOf(options.after) + 1;
    const { mutual, beyond, rooms } = this.#page(users, start, limit);
    const answer = { rooms, count: mutual.length, more: rooms.length < beyond };
    expect(this.index.mutual(users, options)).toEqual(answer);
    expect(await this.engine.mutual(users, options)).toEqual(answer);
  }

  async sharesMany(userId: string, others: readonly string[]): Promise<void> {
    const expected = others.map((other) => this.oracle.shares(userId, other));
    expect(this.index.sharesMany(userId, others)).toEqual(expected);
    expect(await this.engine.sharesMany(userId, others)).toEqual(expected);
  }

  startWalk(users: readonly string[], limit: number): void {
    this.walks.push({
      users,
      limit,
      next: { token: undefined, start: 0 },
      returned: new Set(),
      stable: new Set(this.oracle.mutual(users)),
      lastRank: -1,
    });
  }

  /** Reads one page. What holds of it and of the whole walk is the promise made to whoever reads pages. */
  async stepWalk(walk: Walk): Promise<void> {
    const { users, limit, next } = walk;
    if (next === undefined) throw new Error('the walk has ended');
    const binding = { purpose: 'fuzz', userId: users[0], otherId: users[1] };
    const start = next.token === undefined ? next.start : tokens.open(next.token, binding);
    const expected = this.#page(users, start, limit);
    const mutual = new Set(expected.mutual);
    const page = await this.#parts.answerer.mutualPage(users, start, limit);
    const rooms = Array.from(page.rooms, (room) => this.#names.get(room)!);
    this.pagesRead += 1;

    expect(page.count, 'count is exact').toBe(mutual.size);
    expect(rooms.length).toBeLessThanOrEqual(limit);
    for (const [at, room] of rooms.entries()) {
      if (!mutual.has(room)) expect.fail(`${room} is not mutual`);
      if (walk.returned.has(room)) expect.fail(`${room} is returned twice`);
      if (page.rooms[at] <= walk.lastRank) expect.fail(`${room} comes after one of a higher rank`);
      walk.lastRank = page.rooms[at];
      walk.returned.add(room);
    }
    const json = Buffer.from(page.json).toString();
    if (json !== rooms.map((room) => JSON.stringify(room)).join(',')) expect.fail(`JSON bytes: ${json}`);
    expect(rooms).toEqual(expected.rooms);

    if (page.nextStart === undefined) {
      for (const room of walk.stable) if (!walk.returned.has(room)) expect.fail(`${room} is never returned`);
      walk.next = undefined;
      this.walks.splice(this.walks.indexOf(walk), 1);
      this.walksEnded += 1;
      return;
    }
    // A page that has a next one is full, so a walk ends once it has gone through all rooms there are.
    expect(rooms).toHaveLength(limit);
    expect(page.nextStart).toBe(walk.lastRank + 1);
    const token = users.length === 2 ? tokens.seal(page.nextStart, binding) : undefined;
    walk.next = { token, start: page.nextStart };
  }

  /** Asks for the rooms of these users now, and checks the answer when it comes: what changes meanwhile may be in it. */
  askWithoutWaiting(users: readonly string[]): { touched: Set<string>; checked: Promise<void> } {
    const touched = new Set<string>();
    const then = new Set(this.oracle.mutual(users));
    const checked = this.engine.mutual(users).then(({ rooms, count }) => {
      expect(count).toBe(rooms.length);
      for (const room of rooms) {
        if (!then.has(room) && !touched.has(room))
          expect.fail(`${room} was not mutual when it was asked for`);
      }
      const found = new Set(rooms);
      expect(found.size).toBe(count);
      for (const room of then) {
        if (!found.has(room) && !touched.has(room)) expect.fail(`${room} was mutual when it was asked for`);
      }
    });
    return { touched, checked };
  }

  async expectStats(): Promise<void> {
    const counts = { memberships: this.oracle.count, roomsKnown: this.#ranks.size };
    const stats = this.index.stats();
    expect(stats).toMatchObject(counts);
    expect(await this.engine.stats()).toMatchObject({ ...counts, usersKnown: stats.usersKnown });
  }

  /** Ends all walks, compares everything, and closes the engine. */
  async finish(users: readonly string[]): Promise<void> {
    while (this.walks.length > 0) await this.stepWalk(this.walks[0]);
    for (const user of users) await this.mutual([user], 10_000, undefined);
    await this.expectStats();
    expect(this.index.validate()).toBeUndefined();
    expect(this.engine.failure).toBeUndefined();
  }

  /** @returns where the room stands in the order of pages; -1 while nobody was ever in it */
  rankOf(room: string): number {
    return this.#ranks.get(room) ?? -1;
  }

  #note(changes: readonly Change[]): { applied: number; ignored: number } {
    for (const { userId, roomId, joined } of changes) {
      if (!joined) for (const walk of this.walks) if (walk.users.includes(userId)) walk.stable.delete(roomId);
      if (!joined || this.#ranks.has(roomId)) continue;
      const rank = this.#interner.intern(roomId);
      this.#ranks.set(roomId, rank);
      this.#names.set(rank, roomId);
    }
    return this.oracle.apply(changes);
  }

  #page(users: readonly string[], start: number, limit: number): ExpectedPage {
    const mutual = this.oracle.mutual(users);
    const beyond = Uint32Array.from(
      mutual.map((room) => this.rankOf(room)).filter((rank) => rank >= start),
    ).sort();
    const rooms = Array.from(beyond.subarray(0, limit), (rank) => this.#names.get(rank)!);
    return { mutual, beyond: beyond.length, rooms };
  }
}

/** Which shard of an engine has a room: its partition depends on nothing but its name. */
export function roomsByShard(rooms: readonly string[], shards: number): string[][] {
  const names = roomInterner();
  const ranges = partitionRanges(Math.max(shards, 1));
  return ranges.map(({ first, end }) =>
    rooms.filter((room) => {
      const partition = partitionOf(names.intern(room));
      return partition >= first && partition < end;
    }),
  );
}
