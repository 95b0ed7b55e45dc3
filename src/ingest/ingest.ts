/**
 * The way of every change into the index, whatever its source: number -> apply -> acknowledge, one batch after another.
 * (A store commits between the first two.) Batches take effect in the order in which they were given.
 *
 * A caller that awaits each batch has backpressure; beyond `ingestWaitingMax` waiting batches further ones are refused.
 */
import type { Change } from '../base/change.js';
import { PublicError } from '../base/errors.js';
import { ingestWaitingMax } from '../base/limits.js';
import type { MembershipEngine } from '../engine/engine.js';
import type { Applied } from '../engine/questions.js';

export class Ingest {
  readonly #engine: MembershipEngine;
  #last: Promise<unknown> = Promise.resolve();
  #waiting = 0;

  constructor(engine: MembershipEngine) {
    this.#engine = engine;
  }

  /** @returns when every later question sees the changes */
  async apply(changes: readonly Change[]): Promise<Applied> {
    if (this.#waiting >= ingestWaitingMax) {
      throw new PublicError(
        'OVERLOADED',
        `${ingestWaitingMax} batches wait to be applied; send it again later`,
        {
          retryAfterSeconds: 1,
        },
      );
    }
    this.#waiting += 1;
    const turn = this.#last.then(() => this.#engine.applyNumbered(this.#engine.number(changes)));
    // The next batch waits for this one's end, whichever it is.
    this.#last = turn.catch(() => undefined);
    try {
      return await turn;
    } finally {
      this.#waiting -= 1;
    }
  }
}
