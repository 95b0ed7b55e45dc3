/**
 * Waits for the answers of shards to "does this user share a room with each of these?". Each shard is asked only about
 * those who may have rooms in it; whoever is asked about nowhere shares none.
 */
import type { Answers } from '../shard/wire.js';
import type { Receiver } from './fan-out.js';

export class SharesCall implements Receiver {
  readonly #promise: Promise<boolean[]>;
  readonly #shared: boolean[];
  /** Of each shard asked: where those it is asked about stand in the list. */
  readonly #places: Uint32Array[] = [];
  /** Answers, and the word that every shard has been asked. */
  #missing = 1;
  #resolve!: (shared: boolean[]) => void;
  #reject!: (error: unknown) => void;

  /** @param count how many others are asked about */
  constructor(count: number) {
    this.#shared = new Array<boolean>(count).fill(false);
    this.#promise = new Promise((resolve, reject) => {
      this.#resolve = resolve;
      this.#reject = reject;
    });
  }

  /** Another shard will be asked. @returns the slot that its answer comes back with */
  expect(places: Uint32Array): number {
    this.#missing += 1;
    return this.#places.push(places) - 1;
  }

  /** Every shard has been asked. */
  allAsked(): Promise<boolean[]> {
    this.#oneLess();
    return this.#promise;
  }

  answer(slot: number, { numbers }: Answers, at: number): void {
    const places = this.#places[slot];
    for (let index = 0; index < places.length; index += 1)
      if (((numbers[at + (index >>> 5)] >>> (index & 31)) & 1) === 1) this.#shared[places[index]] = true;
    this.#oneLess();
  }

  fail(error: unknown): void {
    this.#reject(error);
  }

  #oneLess(): void {
    this.#missing -= 1;
    if (this.#missing === 0) this.#resolve(this.#shared);
  }
}
