/**
 * The live feed from Synapse's PostgreSQL: a connection that follows (follower.ts), others that compare now and then (sweep.ts,
 * reconciliation.ts), and Redis to be woken by.
 *
 * Promise: every change that Synapse's stream tells of is made in the index, however late it becomes visible and whatever breaks
 * meanwhile. Changes that the stream does not tell of are found by comparing. Whatever fails is tried again, for ever; meanwhile
 * the index stays as it was.
 */
import type { Clock } from '../../base/clock.js';
import type { Destination } from '../destination.js';
import type { Metric } from '../../base/metric.js';
import type { Source, SourceStatus } from '../source.js';
import {
  comparingPatience,
  firstCopyRetryMs,
  copyRetryMsMax,
  firstRetryMs,
  goesWithoutMs,
  retryMsMax,
} from './bounds.js';
import { Chore, type Job } from './compare/chore.js';
import { Connection, isOfTheWay } from './database/connection.js';
import { Errands } from './follow/errands.js';
import { detailsOf, metricsOf, type FeedFigures } from './feed-figures.js';
import type { FeedObserver, FeedPart } from './feed-observer.js';
import { Follower } from './follow/follower.js';
import { Pause } from './follow/pause.js';
import { postgresFault } from './database/postgres-fault.js';
import { Reconciliation } from './compare/reconciliation.js';
import type { SynapseOptions } from './options.js';
import { RedisWake } from './redis-wake.js';
import { Sweep } from './compare/sweep.js';

export interface FeedDeps {
  readonly destination: Destination;
  readonly observer: FeedObserver;
  readonly clock: Clock;
}

/** Whether it is stale is for others to say. */
export type FeedOptions = Omit<SynapseOptions, 'staleAfterMs'>;

export class SynapseFeed implements Source {
  readonly metrics: readonly Metric[];
  readonly #options: FeedOptions;
  readonly #observer: FeedObserver;
  readonly #clock: Clock;
  readonly #closing = new AbortController();
  readonly #closed = new Promise<void>((resolve) =>
    this.#closing.signal.addEventListener('abort', () => resolve(), { once: true }),
  );
  readonly #pause = new Pause(this.#closing.signal);
  readonly #errands = new Errands(() => this.#pause.end());
  readonly #follower: Follower;
  readonly #sweep: Sweep;
  readonly #reconciliation: Reconciliation;
  readonly #chores: { readonly sweep: Chore | undefined; readonly reconcile: Chore | undefined };
  #redis: RedisWake | undefined;
  #running: Promise<unknown> | undefined;
  #isConnected = true;
  #isReady = false;
  #goesWithout!: () => void;
  /** Resolves when the database cannot be read, and questions are answered from what was known last. */
  readonly #without = new Promise<void>((resolve) => (this.#goesWithout = resolve));
  #failures = 0;
  #lastError: { error: unknown; message: string; atMs: number } | undefined;

  constructor(options: FeedOptions, { destination, observer, clock }: FeedDeps) {
    this.#options = options;
    this.#observer = observer;
    this.#clock = clock;
    this.#follower = new Follower({
      destination,
      observer,
      clock,
      pollIntervalMs: options.pollIntervalMs,
      pause: this.#pause,
      errands: this.#errands,
      signal: this.#closing.signal,
      onDoubt: () => this.#chores.reconcile?.soon(),
    });
    const deps = {
      destination,
      observer,
      clock,
      signal: this.#closing.signal,
      follower: this.#follower,
      errands: this.#errands,
    };
    this.#sweep = new Sweep(deps);
    this.#reconciliation = new Reconciliation(deps);
    const chore = (part: FeedPart, intervalMs: number | null, job: Job): Chore | undefined =>
      intervalMs === null
        ? undefined
        : new Chore(job, {
            intervalMs,
            clock,
            signal: this.#closing.signal,
            open: () => this.#open(comparingPatience),
            failed: (error) => this.#note(part, error),
            succeeded: () => observer.compared(part),
          });
    this.#chores = {
      sweep: chore('sweep', options.sweepIntervalMs, this.#sweep),
      reconcile: chore('reconcile', options.reconcileIntervalMs, this.#reconciliation),
    };
    this.metrics = metricsOf(this);
  }

  /** Resolves when the index is what the homeserver has, as of some moment, or when the feed is closed. */
  get whole(): Promise<void> {
    return Promise.race([this.#follower.whole, this.#closed]);
  }

  /**
   * Resolves when the index may answer: it is what the homeserver has now. Or it was that once, and the homeserver's database cannot be
   * read for some seconds; or the feed is closed.
   */
  get ready(): Promise<void> {
    return Promise.race([this.#follower.caughtUp, this.#without, this.#closed]);
  }

  /** Whether the index was once all that the homeserver had; else it is to be copied first. */
  get hasWhole(): boolean {
    return this.#follower.position !== undefined;
  }

  get status(): SourceStatus {
    const { position, state } = this.#follower;
    return {
      kind: 'synapse',
      state: this.#isConnected ? state : 'disconnected',
      ageSeconds:
        position === undefined ? Infinity : Math.max(0, this.#clock.nowMs() - position.asOfMs) / 1000,
      failures: this.#failures,
      lastError: this.#lastError,
      details: detailsOf(this.figures),
    };
  }

  get figures(): FeedFigures {
    const { position, rowsRead, changesMade, copies, gapsRetired } = this.#follower;
    return {
      position: position?.high ?? 0,
      gapsOpen: position?.ledger.idCount ?? 0,
      gapsRetired,
      rowsRead,
      changesMade,
      copies,
      reconciled: { ...this.#reconciliation.figures, ...this.#sweep.figures },
      redisUp: this.#options.redis && (this.#redis?.isUp ?? false),
    };
  }

  start(): void {
    const { redis, serverName } = this.#options;
    this.#redis ??=
      redis &&
      new RedisWake(redis, serverName, {
        onChange: () => this.#pause.end(),
        onPurge: () => this.#chores.sweep?.soon(),
        onFault: (message) =>
          this.#observer.advice(`Redis: ${message}; it is tried again, and PostgreSQL is polled as usual`),
      });
    const { sweep, reconcile } = this.#chores;
    this.#running ??= Promise.all([
      this.#run(),
      this.whole.then(() => Promise.all([sweep?.run(), reconcile?.run()])),
    ]);
  }

  /** Ends after what is being committed. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#redis?.close();
    this.#errands.end();
    await this.#running;
  }

  async #run(): Promise<void> {
    let retryMs = firstRetryMs;
    let copyRetryMs = firstCopyRetryMs;
    /** Since when nothing was read. */
    let failingSinceMs = this.#clock.monotonicMs();
    void this.ready.then(() => (this.#isReady = true));
    while (!this.#isClosing()) {
      let connection: Connection | undefined;
      try {
        connection = await this.#open();
        this.#isConnected = true;
        await this.#follower.follow(connection, () => {
          retryMs = firstRetryMs;
          copyRetryMs = firstCopyRetryMs;
          failingSinceMs = this.#clock.monotonicMs();
        });
      } catch (error) {
        if (this.#isClosing()) break;
        this.#note('follow', error);
        const failingMs = this.#clock.monotonicMs() - failingSinceMs;
        if (!this.#isReady && failingMs >= goesWithoutMs && this.#follower.isStoredWhole())
          this.#goesWithout();
        // The connections that compare may be dead as well, and they would wait for minutes.
        if (isOfTheWay(error)) for (const chore of Object.values(this.#chores)) chore?.doubt();
      } finally {
        connection?.close();
      }
      const wasCopying = this.#isConnected && this.#follower.state === 'copying';
      this.#isConnected = false;
      // Redis must not end this pause early: it says that something is new, not that the database can be reached.
      await this.#pause.atLeast(wasCopying ? copyRetryMs : retryMs);
      // A copy that failed half-way is much work for the database, and may well fail again.
      if (wasCopying) copyRetryMs = Math.min(copyRetryMs * 2, copyRetryMsMax);
      else retryMs = Math.min(retryMs * 2, retryMsMax);
    }
  }

  #open(patience?: typeof comparingPatience): Promise<Connection> {
    return Connection.open(this.#options.postgres, {
      signal: this.#closing.signal,
      ...(patience === undefined ? {} : { patience }),
    });
  }

  #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  #note(part: FeedPart, error: unknown): void {
    // A failure between two polls comes here twice: from the feed, and from the job that asked for the work.
    if (error === this.#lastError?.error) return;
    const message = postgresFault(error);
    this.#failures += 1;
    this.#lastError = { error, message, atMs: this.#clock.nowMs() };
    this.#observer.failed(part, message);
  }
}
