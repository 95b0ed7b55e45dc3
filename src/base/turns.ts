/**
 * Turns of the event loop for work that comes in without an end: whoever has worked for `sliceMs` waits for a turn of its
 * own, so that everything else, however small, is answered in between.
 *
 * Invariant: a turn of the event loop holds one slice, however many wait for one: ten uploads take ten turns.
 * Cost: some nanoseconds for each item, and about 5 us a turn.
 */
import { systemClock, type Clock } from './clock.js';

/** Short beside the ten milliseconds that an answer may take, long beside what a turn costs. */
const sliceMs = 1;

/** The clock is read once for so many bytes; an item counts for `itemBytesMin` of them at least. */
const bytesPerLook = 2048;
const itemBytesMin = 64;

export class Turns {
  readonly #clock: Clock;
  /** In the order in which they go on. As many as there are streams under way. */
  readonly #waiting: (() => void)[] = [];
  #startedAtMs = -Infinity;
  #bytesSinceLook = 0;

  constructor(clock: Clock = systemClock) {
    this.#clock = clock;
  }

  /** To be called after each item. @returns whether this turn has had its time, and `next` is to be awaited */
  isOverAfter(itemBytes: number): boolean {
    this.#bytesSinceLook += Math.max(itemBytes, itemBytesMin);
    if (this.#bytesSinceLook < bytesPerLook) return false;
    this.#bytesSinceLook = 0;
    return this.#clock.monotonicMs() - this.#startedAtMs >= sliceMs;
  }

  /** Resolves when the event loop has gone round, and it is the caller's turn. */
  async next(): Promise<void> {
    return new Promise((resolve) => {
      this.#waiting.push(resolve);
      if (this.#waiting.length === 1) setImmediate(() => this.#begin());
    });
  }

  #begin(): void {
    this.#startedAtMs = this.#clock.monotonicMs();
    const resume = this.#waiting.shift();
    // One that is made by an immediate runs in the turn after it.
    if (this.#waiting.length > 0) setImmediate(() => this.#begin());
    resume?.();
  }
}

/** Those of this thread. */
export const threadTurns = new Turns();
