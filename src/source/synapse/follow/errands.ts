/**
 * Two services of the feed for the jobs that compare: it runs something on its connection between two polls, and tells when all
 * changes that are visible now have been made. The caller waits, also while the feed is disconnected. When the feed is closed, all
 * calls fail.
 */
import type { Connection } from '../database/connection.js';

interface Errand {
  readonly run: (connection: Connection) => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Settling {
  /** The poll that has to reach the end of the stream, or any after it. */
  readonly poll: number;
  readonly resolve: () => void;
}

export class Errands {
  readonly #wake: () => void;
  #errands: Errand[] = [];
  #settling: Settling[] = [];
  #pollsBegun = 0;
  #isEnded = false;

  /** @param wake called when the next poll should not wait for its time */
  constructor(wake: () => void) {
    this.#wake = wake;
  }

  /** Nothing else changes the index meanwhile. @throws what `run` does, and when the feed is closed */
  betweenPolls(run: Errand['run']): Promise<void> {
    if (this.#isEnded) return Promise.reject(closed());
    return new Promise((resolve, reject) => {
      this.#errands.push({ run, resolve, reject });
      this.#wake();
    });
  }

  /** Resolves when all that is visible in the database now has been made. @throws when the feed is closed */
  async settled(): Promise<void> {
    await new Promise<void>((resolve) => {
      if (this.#isEnded) resolve();
      else this.#settling.push({ poll: this.#pollsBegun + 1, resolve });
      this.#wake();
    });
    if (this.#isEnded) throw closed();
  }

  /** Whether the next poll must look for everything that is missing. */
  get isSettling(): boolean {
    return this.#settling.length > 0;
  }

  /** @returns what `pollEnded` is told */
  pollBegins(): number {
    this.#pollsBegun += 1;
    return this.#pollsBegun;
  }

  /** A poll has reached the end of the stream, and what it read is made. */
  pollEnded(poll: number): void {
    for (const { resolve } of this.#settling.filter((each) => each.poll <= poll)) resolve();
    this.#settling = this.#settling.filter((each) => each.poll > poll);
  }

  /** Runs all there are, in their order. @throws what the first one does that fails; those behind it stay */
  async run(connection: Connection): Promise<void> {
    for (;;) {
      const errand = this.#errands.shift();
      if (errand === undefined) return;
      try {
        await errand.run(connection);
        errand.resolve();
      } catch (error) {
        errand.reject(error);
        throw error;
      }
    }
  }

  end(): void {
    this.#isEnded = true;
    for (const { resolve } of this.#settling.splice(0)) resolve();
    for (const { reject } of this.#errands.splice(0)) reject(closed());
  }
}

function closed(): Error {
  return new Error('the feed is closed');
}
