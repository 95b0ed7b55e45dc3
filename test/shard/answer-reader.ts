/** Reads a batch of answers as wire.ts lays them out, one after another. */
import type { Answers } from '../../src/shard/wire.js';

export interface PageAnswer {
  readonly count: number;
  readonly beyond: number;
  readonly rooms: number[];
  /** The bytes from `jsonStart` to the last `jsonEnd`, as text. */
  readonly json: string;
}

export class AnswerReader {
  readonly #answers: Answers;
  #at = 0;

  constructor(answers: Answers) {
    this.#answers = answers;
  }

  get atEnd(): boolean {
    return this.#at === this.#answers.numbers.length;
  }

  page(): PageAnswer {
    const [count, beyond, taken, jsonStart, ...pairs] = this.#next();
    if (pairs.length !== 2 * taken) throw new Error(`${pairs.length} words for ${taken} rooms`);
    const rooms = pairs.filter((_, index) => index % 2 === 0);
    const ends = pairs.filter((_, index) => index % 2 === 1);
    const json = Buffer.from(this.#answers.json.subarray(jsonStart, ends.at(-1) ?? jsonStart));
    return { count, beyond, rooms, json: json.toString() };
  }

  shares(count: number): boolean[] {
    const words = this.#next();
    if (words.length !== Math.ceil(count / 32)) throw new Error(`${words.length} words for ${count} bits`);
    return Array.from({ length: count }, (_, index) => ((words[index >>> 5] >>> (index & 31)) & 1) === 1);
  }

  #next(): number[] {
    const { numbers } = this.#answers;
    const start = this.#at + 1;
    this.#at = start + numbers[this.#at];
    return [...numbers.subarray(start, this.#at)];
  }
}
