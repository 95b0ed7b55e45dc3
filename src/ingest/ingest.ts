/**
 * The way of every change into the index, whatever its source: apply, then acknowledge. The engine makes changes in the
 * order in which they are given; what is bounded here is how many callers may wait for their turn.
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
    try {
      return await this.#engine.apply(changes);
    } finally {
      this.#waiting -= 1;
    }
  }
}
