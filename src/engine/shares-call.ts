/** Waits for every shard's answer to "does this user share a room with each of these?", and ORs them together. */
import type { Answers } from '../shard/wire.js';
import type { Receiver } from './fan-out.js';

export class SharesCall implements Receiver {
  readonly shared: Promise<boolean[]>;
  readonly #bits: Uint32Array;
  readonly #count: number;
  #missing: number;
  #resolve!: (shared: boolean[]) => void;
  #reject!: (error: unknown) => void;

  /** @param count how many others are asked about */
  constructor(shardCount: number, count: number) {
    this.#bits = new Uint32Array((count + 31) >>> 5);
    this.#count = count;
    this.#missing = shardCount;
    this.shared = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  answer(_slot: number, { numbers }: Answers, at: number): void {
    for (let word = 0; word < this.#bits.length; word += 1) this.#bits[word] |= numbers[at + word];
    this.#missing -= 1;
    if (this.#missing > 0) return;
    const shared = new Array<boolean>(this.#count);
    for (let index = 0; index < this.#count; index += 1) {
      shared[index] = ((this.#bits[index >>> 5] >>> (index & 31)) & 1) === 1;
    }
    this.#resolve(shared);
  }

  fail(error: unknown): void {
    this.#reject(error);
  }
}
