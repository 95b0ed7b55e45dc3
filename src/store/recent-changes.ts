/**
 * Changes that are committed but not folded into the room sets yet, by user: a generation of them. They are kept in the
 * order in which they were made, in buckets of neighbouring users, so that folding goes over the records in their order
 * and sorts a bucket at a time.
 *
 * Cost: 16 bytes a change.
 */
import { changeCount, roomOf, userAt, wordAt, wordsPerChange } from '../log/changes.js';

/** About so many buckets: each is sorted in a fraction of a millisecond. */
const bucketsWanted = 1024;

/** Least users in a bucket. Without it, a store that fills up would have a bucket for each user: a million lists. */
const bucketBitsMin = 6;

/** Rooms are below 2^31: a user within a bucket and a room make a number that a double holds exactly. */
const roomsEnd = 2 ** 31;

/** Of each change the user and the word (log/changes.ts). */
export interface SortedChanges {
  readonly users: Uint32Array;
  readonly words: Uint32Array;
}

export class RecentChanges {
  readonly #buckets: number[][] = [];
  readonly #bucketBits: number;
  /** Changes in all. */
  count = 0;

  /** @param userCount how many users there are: further ones go to further buckets */
  constructor(userCount: number) {
    this.#bucketBits = Math.max(bucketBitsMin, Math.ceil(Math.log2(Math.max(1, userCount) / bucketsWanted)));
  }

  /** Adds changes behind those before. @param changes as log/changes.ts lays them out */
  add(changes: Uint32Array): void {
    for (let at = 0; at < changes.length; at += wordsPerChange) {
      const bucket = userAt(changes, at) >>> this.#bucketBits;
      while (this.#buckets.length <= bucket) this.#buckets.push([]);
      this.#buckets[bucket].push(userAt(changes, at), wordAt(changes, at));
    }
    this.count += changeCount(changes);
  }

  get bucketCount(): number {
    return this.#buckets.length;
  }

  /** How many changes a bucket has; some of them may be of the same user and room. */
  countIn(bucket: number): number {
    return this.#buckets[bucket].length / wordsPerChange;
  }

  /** The bucket's changes by ascending user and room, only the last one of each: what holds in the end. */
  sorted(bucket: number): SortedChanges {
    const changes = this.#buckets[bucket];
    const first = bucket * 2 ** this.#bucketBits;
    const last = new Map<number, number>();
    for (let at = 0; at < changes.length; at += wordsPerChange) {
      const word = changes[at + 1];
      last.set((changes[at] - first) * roomsEnd + roomOf(word), word);
    }
    const keys = Float64Array.from(last.keys()).sort();
    const users = new Uint32Array(keys.length);
    const words = new Uint32Array(keys.length);
    for (let index = 0; index < keys.length; index += 1) {
      const user = Math.floor(keys[index] / roomsEnd);
      users[index] = first + user;
      words[index] = last.get(keys[index]) ?? 0;
    }
    return { users, words };
  }

  /** Gives the bucket's memory back: it has been folded. */
  drop(bucket: number): void {
    this.#buckets[bucket] = [];
  }
}
