/**
 * The limit: every user's rooms ascend in one big array of u32, which nothing may be added to any more, and users are
 * numbers from 0 without a gap. Sets of like size are merged; a small one is searched for in a large one.
 *
 * Cost: 4 bytes a membership and 4 a user. Two views made for each question are a part of its time.
 */
import { anyByMerge, mergeInto, searchInto } from '../plain-intersections.js';
import { pageSize, type Answer, type LocalPeer, type Member, type NamedPair } from './peer.js';

/** From this many times as large on, the larger set is searched. */
const searchRatio = 16;

export class PackedPeer implements LocalPeer {
  readonly name = 'a packed u32 array a user';
  readonly where = 'in process, by numbers';
  #rooms = new Uint32Array(2 ** 16);
  #used = 0;
  /** Where the rooms of each user begin, and one past the last. */
  #starts = new Uint32Array(2 ** 12);
  #users = 0;
  #scratch = new Uint32Array(0);

  add(members: readonly Member[]): void {
    for (const { user, rooms } of members) {
      if (user !== this.#users) throw new Error(`user ${user} comes after ${this.#users - 1}`);
      if (this.#starts.length < user + 2) this.#starts = grown(this.#starts, user + 2);
      if (this.#rooms.length < this.#used + rooms.length)
        this.#rooms = grown(this.#rooms, this.#used + rooms.length);
      if (this.#scratch.length < rooms.length) this.#scratch = new Uint32Array(rooms.length);
      this.#rooms.set(rooms, this.#used);
      this.#rooms.subarray(this.#used, this.#used + rooms.length).sort();
      this.#used += rooms.length;
      this.#users += 1;
      this.#starts[this.#users] = this.#used;
    }
  }

  finish(): void {
    this.#rooms = this.#rooms.slice(0, this.#used);
    this.#starts = this.#starts.slice(0, this.#users + 1);
  }

  firstPage(pair: NamedPair): Answer {
    const count = this.#intersect(pair);
    return { count, page: this.#scratch.slice(0, Math.min(count, pageSize)) };
  }

  shares({ users: [user, other] }: NamedPair): boolean {
    const [few, many] = smallerFirst(this.#roomsOf(user), this.#roomsOf(other));
    // A search does not stop at the first room; it looks for each of a few.
    return few.length * searchRatio <= many.length
      ? searchInto(few, many, this.#scratch) > 0
      : anyByMerge(few, many);
  }

  allRooms(pair: NamedPair): Uint32Array {
    return this.#scratch.slice(0, this.#intersect(pair));
  }

  /** @returns how many rooms are common; they are in the scratch */
  #intersect({ users: [user, other] }: NamedPair): number {
    const [few, many] = smallerFirst(this.#roomsOf(user), this.#roomsOf(other));
    return few.length * searchRatio <= many.length
      ? searchInto(few, many, this.#scratch)
      : mergeInto(few, many, this.#scratch);
  }

  #roomsOf(user: number): Uint32Array {
    return user === -1
      ? this.#rooms.subarray(0, 0)
      : this.#rooms.subarray(this.#starts[user], this.#starts[user + 1]);
  }
}

function smallerFirst(left: Uint32Array, right: Uint32Array): [Uint32Array, Uint32Array] {
  return left.length <= right.length ? [left, right] : [right, left];
}

function grown(array: Uint32Array, length: number): Uint32Array<ArrayBuffer> {
  const larger = new Uint32Array(Math.max(length, array.length * 2));
  larger.set(array);
  return larger;
}
