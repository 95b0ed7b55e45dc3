/**
 * One page of mutual rooms out of the answers of the shards that were asked. Shards own ascending ranges of rooms, so pages are concatenated,
 * never merged.
 *
 * Invariants: I4 no room is in two shards, and I6 a page ascends, has at most `limit` rooms and lies wholly at or beyond
 * its start. Both are asserted here, where the answers of different shards first meet.
 */
import { assert } from '../base/assert.js';
import { pageHeaderWords, type Answers } from '../shard/wire.js';
import type { Receiver } from './fan-out.js';

export interface Page {
  /** How many rooms the users share in all, at this moment. */
  readonly count: number;
  /** RoomNos, ascending. */
  readonly rooms: Uint32Array;
  /** The rooms' IDs as JSON strings with commas between them; empty where none was asked for. */
  readonly json: Uint8Array;
  /** Where the next page starts (with a limit of 0, where this one did); undefined on the last one. */
  readonly nextStart: number | undefined;
}

/** Waits for the answer of each shard asked. */
export class PageCall implements Receiver {
  readonly page: Promise<Page>;
  readonly #start: number;
  readonly #limit: number;
  readonly #answers: Answers[];
  readonly #positions: number[];
  #missing: number;
  #resolve!: (page: Page) => void;
  #reject!: (error: unknown) => void;

  constructor(shardCount: number, start: number, limit: number) {
    this.#start = start;
    this.#limit = limit;
    this.#answers = new Array<Answers>(shardCount);
    this.#positions = new Array<number>(shardCount);
    this.#missing = shardCount;
    this.page = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  answer(slot: number, answers: Answers, at: number): void {
    this.#answers[slot] = answers;
    this.#positions[slot] = at;
    this.#missing -= 1;
    if (this.#missing > 0) return;
    try {
      this.#resolve(this.#concatenate());
    } catch (error) {
      this.#reject(error);
    }
  }

  fail(error: unknown): void {
    this.#reject(error);
  }

  #concatenate(): Page {
    let length = 0;
    for (let slot = 0; slot < this.#answers.length; slot += 1)
      length += this.#answers[slot].numbers[this.#positions[slot] + 2];
    const rooms = new Uint32Array(Math.min(length, this.#limit));
    const pieces: Uint8Array[] = [];
    let end = 0;
    let count = 0;
    let beyond = 0;
    let previous = this.#start - 1;
    for (let slot = 0; slot < this.#answers.length; slot += 1) {
      const { numbers, json } = this.#answers[slot];
      const at = this.#positions[slot];
      count += numbers[at];
      beyond += numbers[at + 1];
      const taken = Math.min(numbers[at + 2], this.#limit - end);
      const jsonStart = numbers[at + 3];
      let jsonEnd = jsonStart;
      for (let index = 0; index < taken; index += 1) {
        const room = numbers[at + pageHeaderWords + 2 * index];
        assert(previous < room, 'the rooms of a page ascend across shards');
        previous = room;
        rooms[end++] = room;
        jsonEnd = numbers[at + pageHeaderWords + 2 * index + 1];
      }
      if (jsonStart < jsonEnd) {
        if (pieces.length > 0) pieces.push(comma);
        pieces.push(json.subarray(jsonStart, jsonEnd));
      }
    }
    return {
      count,
      rooms,
      // A copy even of one piece: an inline shard's is scratch memory.
      json: Buffer.concat(pieces),
      nextStart: rooms.length < beyond ? previous + 1 : undefined,
    };
  }
}

const comma = Buffer.from(',');
