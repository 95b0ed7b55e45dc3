/**
 * What came in, as lines of the log: one for an import of many requests, and at most one a minute for changes that never cease.
 *
 * Invariant: counts and seconds only, no ID. Cost: one timer while anything waits to be told.
 */
import type { FastifyBaseLogger } from 'fastify';
import type { Clock } from '../base/clock.js';

/** An import is over when nothing has come for so long. */
const quietMs = 5000;

const intervalMs = 60_000;

export class ImportLog {
  readonly #logger: FastifyBaseLogger;
  readonly #clock: Clock;
  #counts = { applied: 0, ignored: 0, rejected: 0 };
  #firstMs = 0;
  #lastMs = 0;
  #saidAtMs = -Infinity;
  #timer: NodeJS.Timeout | undefined;

  constructor(logger: FastifyBaseLogger, clock: Clock) {
    this.#logger = logger;
    this.#clock = clock;
  }

  add(applied: number, ignored: number, rejected: number): void {
    this.#counts.applied += applied;
    this.#counts.ignored += ignored;
    this.#counts.rejected += rejected;
    this.#lastMs = this.#clock.monotonicMs();
    if (this.#timer !== undefined) return;
    this.#firstMs = this.#lastMs;
    this.#wait(quietMs);
  }

  /** Tells what was not told yet. */
  flush(): void {
    if (this.#timer === undefined) return;
    clearTimeout(this.#timer);
    this.#timer = undefined;
    this.#saidAtMs = this.#clock.monotonicMs();
    const seconds = Number(((this.#lastMs - this.#firstMs) / 1000).toFixed(3));
    this.#logger.info({ ...this.#counts, seconds }, 'memberships came in');
    this.#counts = { applied: 0, ignored: 0, rejected: 0 };
  }

  #wait(durationMs: number): void {
    this.#timer = setTimeout(() => {
      const isOverMs = Math.min(this.#lastMs + quietMs, this.#firstMs + intervalMs);
      const waitMs = Math.max(isOverMs, this.#saidAtMs + intervalMs) - this.#clock.monotonicMs();
      if (waitMs > 0) this.#wait(waitMs);
      else this.flush();
    }, durationMs).unref();
  }
}
