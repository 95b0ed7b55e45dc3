/**
 * The shard's work, the same in a worker thread and inline: reads questions and changes as wire.ts lays them out, asks
 * its `Membership`, and lays out the answers. Knows nothing of threads.
 *
 * Cost: allocates nothing as a rule; the scratch arrays that answers are built in are kept, as large as the largest batch.
 */
import { assert } from '../base/assert.js';
import { partitionCount, type PartitionRange, type UserNo } from '../base/ids.js';
import { roomsPerPageMax, scratchBytesMax } from '../base/limits.js';
import { JsonList } from '../directory/json-list.js';
import type { Names } from '../directory/names.js';
import type { LoadedSets } from '../store/load.js';
import { DenseHandles, SparseHandles } from './handles.js';
import { Membership } from './membership.js';
import { Rooms } from './rooms.js';
import { pageHeaderWords, questionKind, type Answers, type ShardStats } from './wire.js';

export class ShardCore {
  readonly membership: Membership;
  readonly rooms = new Rooms();
  readonly partitions: PartitionRange;
  readonly #json: JsonList;
  #numbers = new Uint32Array(1024);
  #numbersEnd = 0;

  /**
   * @param partitions whose rooms are put in
   * @param names of the rooms: what pages are spelled with
   */
  constructor(partitions: PartitionRange, names: Names) {
    this.partitions = partitions;
    const hasAll = partitions.end - partitions.first === partitionCount;
    this.membership = new Membership(hasAll ? new DenseHandles() : new SparseHandles(), this.rooms);
    this.#json = new JsonList(names);
  }

  /** What has been loaded into the membership. @param last the commit that was the last one then */
  loaded({ last }: Pick<LoadedSets, 'last'>): LoadedSets {
    return { users: this.membership.usersHere(), rooms: this.rooms.count, last };
  }

  /** @returns views of scratch memory that the next call overwrites: who keeps them copies them */
  ask(questions: Uint32Array): Answers {
    this.#numbersEnd = 0;
    this.#json.clear();
    if (this.#numbers.byteLength > scratchBytesMax) this.#numbers = new Uint32Array(scratchBytesMax / 4);
    let at = 0;
    while (at < questions.length) {
      if (questions[at] === questionKind.page) at = this.#page(questions, at);
      else at = this.#shares(questions, at);
    }
    assert(at === questions.length, 'the last question ends where the batch does');
    return {
      numbers: this.#numbers.subarray(0, this.#numbersEnd),
      json: this.#json.bytes.subarray(0, this.#json.end),
    };
  }

  apply(changes: Uint32Array): number {
    return this.membership.apply(changes);
  }

  stats(): ShardStats {
    const { count, bitmapCount, bytes } = this.membership;
    return { memberships: count, bitmaps: bitmapCount, bytes: { ...bytes, rooms: this.rooms.bytes } };
  }

  #page(questions: Uint32Array, at: number): number {
    const start = questions[at + 1];
    const limit = questions[at + 2];
    const wantsJson = questions[at + 3] === 1;
    const usersAt = at + 5;
    const end = usersAt + questions[at + 4];
    assert(limit <= roomsPerPageMax, 'a page holds at most roomsPerPageMax rooms');
    const users = questions.subarray(usersAt, end) as unknown as ArrayLike<UserNo>;
    const { count, beyond, taken, rooms } = this.membership.mutual(users, start, limit);
    const length = pageHeaderWords + 2 * taken;
    const numbers = this.#reserve(1 + length);
    const jsonStart = this.#json.end;
    let to = this.#numbersEnd;
    numbers[to++] = length;
    numbers[to++] = count;
    numbers[to++] = beyond;
    numbers[to++] = taken;
    numbers[to++] = jsonStart;
    if (wantsJson) this.#json.add(rooms, taken);
    const { ends } = this.#json;
    for (let index = 0; index < taken; index += 1) {
      numbers[to++] = rooms[index];
      numbers[to++] = wantsJson ? ends[index] : jsonStart;
    }
    this.#numbersEnd = to;
    return end;
  }

  #shares(questions: Uint32Array, at: number): number {
    assert(questions[at] === questionKind.shares, 'a question is of a known kind');
    const user = questions[at + 1] as UserNo;
    const othersAt = at + 3;
    const count = questions[at + 2];
    const words = (count + 31) >>> 5;
    const numbers = this.#reserve(1 + words);
    const to = this.#numbersEnd;
    numbers[to] = words;
    numbers.fill(0, to + 1, to + 1 + words);
    for (let index = 0; index < count; index += 1) {
      if (this.membership.shares(user, questions[othersAt + index] as UserNo)) {
        numbers[to + 1 + (index >>> 5)] |= 1 << (index & 31);
      }
    }
    this.#numbersEnd = to + 1 + words;
    return othersAt + count;
  }

  #reserve(words: number): Uint32Array {
    const needed = this.#numbersEnd + words;
    if (needed > this.#numbers.length) {
      const larger = new Uint32Array(Math.max(needed, this.#numbers.length * 2));
      larger.set(this.#numbers);
      this.#numbers = larger;
    }
    return this.#numbers;
  }
}
