/**
 * Answers questions: turns names into numbers, asks the shards that may know, and puts their answers together.
 *
 * Promise: an answer is whole or it is an error.
 */
import { roomsPerPageMax } from '../base/limits.js';
import type { Directory } from '../directory/directory.js';
import { pageQuestion, sharesQuestion } from '../shard/wire.js';
import { PageCall, type Page } from './page.js';
import {
  checkLimit,
  checkOthers,
  checkStart,
  checkUsers,
  startAfter,
  type MutualOptions,
  type MutualRooms,
} from './questions.js';
import type { Shards } from './shards.js';
import { SharesCall } from './shares-call.js';

export class Answerer {
  readonly #directory: Directory;
  readonly #shards: Shards;

  constructor(directory: Directory, shards: Shards) {
    this.#directory = directory;
    this.#shards = shards;
  }

  /** The rooms that all these users are joined to. */
  async mutual(
    users: readonly string[],
    { limit = roomsPerPageMax, after }: MutualOptions = {},
  ): Promise<MutualRooms> {
    const { rooms } = this.#directory;
    const start = after === undefined ? 0 : startAfter(after, rooms.find(after));
    const page = await this.#page(users, start, limit, false);
    return {
      rooms: Array.from(page.rooms, (room) => rooms.names.text(room)),
      count: page.count,
      more: page.nextStart !== undefined,
    };
  }

  /**
   * The same, with the room IDs as JSON bytes, for an answer that is put together from them.
   * @param start where the page begins: 0, or the `nextStart` of the page before
   */
  async mutualPage(users: readonly string[], start: number, limit: number): Promise<Page> {
    return this.#page(users, start, limit, true);
  }

  /** Whether the user shares a room with each of the others, in their order. */
  async sharesMany(userId: string, otherIds: readonly string[]): Promise<boolean[]> {
    checkOthers(otherIds);
    this.#shards.checkAvailable();
    const { userShards } = this.#directory;
    const user = this.#directory.userNo(userId);
    const others = this.#directory.userNos(otherIds);
    const call = new SharesCall(others.length);
    const shards = userShards.of(user);
    for (const [shard, fanOut] of this.#shards.fanOuts.entries()) {
      if (!userShards.has(shards, shard)) continue;
      const places = userShards.whoMayBeIn(shard, others);
      if (places.length === 0) continue;
      const question = sharesQuestion(
        user,
        places.map((place) => others[place]),
      );
      fanOut.ask(question, call, call.expect(places));
    }
    return call.allAsked();
  }

  async #page(users: readonly string[], start: number, limit: number, wantsJson: boolean): Promise<Page> {
    checkUsers(users);
    checkLimit(limit);
    checkStart(start);
    this.#shards.checkAvailable();
    const { fanOuts } = this.#shards;
    const { userShards } = this.#directory;
    const numbers = this.#directory.userNos(users);
    const question = pageQuestion(numbers, start, limit, wantsJson);
    const shards = userShards.shared(numbers);
    const asked = fanOuts.filter((_, shard) => userShards.has(shards, shard));
    // Who is unknown, or shares no shard, is asked for in one: an answer without asking would tell by its time.
    if (asked.length === 0) asked.push(fanOuts[numbers[0] % fanOuts.length]);
    const call = new PageCall(asked.length, start, limit);
    for (let slot = 0; slot < asked.length; slot += 1) asked[slot].ask(question, call, slot);
    return call.page;
  }
}
