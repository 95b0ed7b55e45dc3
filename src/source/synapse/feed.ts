/**
 * The live feed from Synapse's PostgreSQL: copies all memberships once, then follows the stream of changes.
 *
 * One connection, and one thing at a time on it: a poll, what holds of the memberships that it touched, the commit of those with
 * the position, and between polls the repairs that upkeep.ts asks for. So the index only ever moves to what the database
 * said later.
 *
 * Promise: every change that Synapse commits, and that its stream tells of, is made in the index, however late it becomes visible
 * and whatever breaks meanwhile. What the stream does not tell of is upkeep.ts's. What fails is tried again, for ever;
 * the index stays as it was meanwhile.
 */
import type { Change } from '../../base/change.js';
import type { Clock } from '../../base/clock.js';
import type { FedIndex } from '../fed-index.js';
import type { SourceStatus } from '../source-status.js';
import { bootstrap } from './bootstrap.js';
import {
  anchorEveryMs,
  changesPerApply,
  cursorEveryMs,
  firstRetryMs,
  gapIsLostMs,
  gapIsOverMs,
  pollSpacingMs,
  retryMsMax,
  upkeepPatience,
} from './bounds.js';
import { Connection, type PostgresOptions } from './connection.js';
import type { FeedObserver } from './feed-observer.js';
import { Pause } from './pause.js';
import { cursorOf, positionOf, type Position } from './position.js';
import { postgresFault } from './postgres-fault.js';
import { RedisWake, type RedisOptions } from './redis-wake.js';
import { anchorUpTo, announcedId, highestId, isAnchored } from './stream.js';
import { Tail, type Poll } from './tail.js';
import { TouchedRooms } from './touched-rooms.js';
import { Upkeep } from './upkeep.js';

export interface SynapseOptions {
  readonly postgres: PostgresOptions;
  readonly serverName: string;
  readonly pollIntervalMs: number;
  /** `null` is never. */
  readonly reconcileIntervalMs: number | null;
  readonly sweepIntervalMs: number | null;
  readonly redis?: RedisOptions | undefined;
}

export interface FeedDeps {
  readonly index: FedIndex;
  readonly observer: FeedObserver;
  readonly clock: Clock;
}

/** Something to be done on the feed's connection between two polls. */
interface Errand {
  readonly run: (connection: Connection) => Promise<void>;
  readonly resolve: () => void;
  readonly reject: (error: unknown) => void;
}

interface Settling {
  /** The poll that has to end. */
  readonly poll: number;
  readonly resolve: () => void;
}

export class SynapseFeed {
  readonly #options: SynapseOptions;
  readonly #index: FedIndex;
  readonly #observer: FeedObserver;
  readonly #clock: Clock;
  readonly #pause: Pause;
  readonly #upkeep: Upkeep;
  readonly #redis: RedisWake | undefined;
  readonly #closing = new AbortController();
  #position: Position | undefined;
  #running: Promise<void> | undefined;
  #state: SourceStatus['state'] = 'connecting';
  #errands: Errand[] = [];
  #settling: Settling[] = [];
  #pollsBegun = 0;
  /** Rooms changed since somebody asked; undefined while nobody does. */
  #touched: TouchedRooms | undefined;
  #storedAtMs = -Infinity;
  #storedHigh = -1;
  #lookedAfterAtMs = 0;
  #rowsRead = 0;
  #copies = 0;
  #failures = 0;
  #gapsRetired = 0;
  #lastError: { message: string; atMs: number } | undefined;
  #whole!: () => void;
  /** Resolves when the index is what the homeserver has, as of some moment. */
  readonly whole = new Promise<void>((resolve) => (this.#whole = resolve));

  constructor(options: SynapseOptions, { index, observer, clock }: FeedDeps) {
    this.#options = options;
    this.#index = index;
    this.#observer = observer;
    this.#clock = clock;
    this.#pause = new Pause(this.#closing.signal);
    this.#upkeep = new Upkeep({
      index,
      observer,
      clock,
      reconcileIntervalMs: options.reconcileIntervalMs,
      sweepIntervalMs: options.sweepIntervalMs,
      open: () =>
        Connection.open(options.postgres, { patience: upkeepPatience, signal: this.#closing.signal }),
      settled: () => this.#settled(),
      betweenPolls: (run) => this.#betweenPolls(run),
      recordTouched: () => (this.#touched = new TouchedRooms()),
      stopRecording: () => (this.#touched = undefined),
      failed: (error) => this.#note(error),
      signal: this.#closing.signal,
    });
    this.#redis =
      options.redis &&
      new RedisWake(options.redis, options.serverName, {
        onChange: () => this.#pause.end(),
        onPurge: () => this.#upkeep.sweepSoon(),
        onFault: (message) => this.#observer.advice(`Redis: ${message}`),
      });
    this.#position = positionOf(index.cursor);
    if (this.#position !== undefined) this.#whole();
  }

  /** Whether the index was once all that the homeserver had; else it is to be copied first. */
  get hasWhole(): boolean {
    return this.#position !== undefined;
  }

  get status(): SourceStatus {
    const position = this.#position;
    return {
      kind: 'synapse',
      state: this.#state,
      ageSeconds:
        position === undefined ? Infinity : Math.max(0, this.#clock.nowMs() - position.asOfMs) / 1000,
      position: position?.high ?? 0,
      gapsOpen: position?.ledger.idCount ?? 0,
      gapsRetired: this.#gapsRetired,
      rowsRead: this.#rowsRead,
      copies: this.#copies,
      failures: this.#failures,
      reconciled: this.#upkeep.status,
      lastError: this.#lastError,
    };
  }

  start(): void {
    this.#running ??= Promise.all([this.#run(), this.whole.then(() => this.#upkeep.run())]).then(
      () => undefined,
    );
  }

  /** Ends after what is being committed. */
  async close(): Promise<void> {
    this.#closing.abort();
    this.#redis?.close();
    this.#whole();
    // Who waits for a poll that will not come would be waited for here.
    for (const { resolve } of this.#settling.splice(0)) resolve();
    for (const { reject } of this.#errands.splice(0)) reject(new Error('the feed is closed'));
    await this.#running;
  }

  async #run(): Promise<void> {
    let retryMs = firstRetryMs;
    while (!this.#isClosing()) {
      let connection: Connection | undefined;
      try {
        connection = await Connection.open(this.#options.postgres, { signal: this.#closing.signal });
        await this.#follow(connection, () => (retryMs = firstRetryMs));
      } catch (error) {
        if (this.#isClosing()) break;
        this.#state = 'disconnected';
        this.#note(error);
      } finally {
        connection?.close();
      }
      // Redis may say that there is something new; whether there is a connection it does not know.
      await this.#pause.atLeast(retryMs);
      retryMs = Math.min(retryMs * 2, retryMsMax);
    }
  }

  #isClosing(): boolean {
    return this.#closing.signal.aborted;
  }

  /** @param onPoll called when a poll has succeeded */
  async #follow(connection: Connection, onPoll: () => void): Promise<void> {
    await this.#resume(connection);
    const tail = new Tail(connection, this.#clock);
    let isFirst = true;
    while (!this.#isClosing()) {
      const isAtEnd = await this.#poll(tail);
      onPoll();
      if (isFirst) this.#nowFollowing();
      isFirst = false;
      for (const errand of this.#errands.splice(0)) await this.#runErrand(errand, connection);
      await this.#lookAfter(connection);
      if (isAtEnd) await this.#pause.between(pollSpacingMs, this.#options.pollIntervalMs);
    }
  }

  #nowFollowing(): void {
    this.#state = 'following';
    this.#observer.following(this.#position?.high ?? 0);
  }

  /**
   * Goes on from where it was, in this process or before it; copies everything where that cannot be.
   *
   * It goes on from the anchor: what was above it then, and was read, may be of another future of the database than its backup has.
   */
  async #resume(connection: Connection): Promise<void> {
    const known = this.#position;
    if (known === undefined) return this.#copy(connection, 'there was nothing to go on from');
    const { anchor } = known;
    // Without a row to know it by there was no room yet, and little to copy.
    if (anchor === undefined) return this.#copy(connection, 'there was no state when it was last read');
    if (!(await isAnchored(connection, anchor))) {
      const message =
        `a change that was read is not in the database any more (stream id ${anchor.streamId}): ` +
        'it is an older state of it, or another database';
      this.#observer.notTheSame(message);
      return this.#copy(connection, message);
    }
    this.#position = { ...known, high: anchor.streamId, ledger: known.ledger.below(anchor.streamId) };
  }

  async #copy(connection: Connection, why: string): Promise<void> {
    this.#state = 'copying';
    this.#touched?.addAll();
    const beganMs = this.#clock.monotonicMs();
    const { position, rows, joined, left } = await bootstrap(
      connection,
      this.#index,
      this.#clock,
      (done, about) => this.#observer.copying(done, about),
    );
    this.#position = position;
    this.#storedHigh = position.high;
    this.#rowsRead += rows;
    this.#copies += 1;
    this.#observer.copied({
      why,
      rows,
      joined,
      left,
      seconds: (this.#clock.monotonicMs() - beganMs) / 1000,
    });
    this.#whole();
  }

  /** @returns whether the stream was read to its end */
  async #poll(tail: Tail): Promise<boolean> {
    if (this.#position === undefined) throw new Error('a poll begins from a position');
    this.#pollsBegun += 1;
    const number = this.#pollsBegun;
    const poll = await tail.poll(this.#position);
    await this.#make(poll);
    if (poll.isAtEnd) {
      for (const { resolve } of this.#settling.filter((each) => each.poll <= number)) resolve();
      this.#settling = this.#settling.filter((each) => each.poll > number);
    }
    return poll.isAtEnd;
  }

  async #make({ position, changes }: Poll): Promise<void> {
    let batch: Change[] = [];
    for await (const piece of changes ?? []) {
      this.#rowsRead += piece.length;
      for (const change of piece) this.#touched?.add(change.roomId);
      batch = batch.length === 0 ? piece : batch.concat(piece);
      if (batch.length < changesPerApply) continue;
      await this.#index.apply(batch);
      batch = [];
    }
    const isDue =
      position.high !== this.#storedHigh && this.#clock.monotonicMs() - this.#storedAtMs >= cursorEveryMs;
    if (batch.length > 0 || isDue) await this.#store(position, batch);
    this.#position = position;
  }

  async #store(position: Position, changes: readonly Change[]): Promise<void> {
    await this.#index.apply(changes, cursorOf(position));
    this.#storedHigh = position.high;
    this.#storedAtMs = this.#clock.monotonicMs();
  }

  async #runErrand({ run, resolve, reject }: Errand, connection: Connection): Promise<void> {
    try {
      await run(connection);
      resolve();
    } catch (error) {
      reject(error);
      throw error;
    }
  }

  /** What need not be done in every poll. */
  async #lookAfter(connection: Connection): Promise<void> {
    const position = this.#position;
    const nowMs = this.#clock.monotonicMs();
    if (position === undefined || nowMs - this.#lookedAfterAtMs < cursorEveryMs) return;
    const isCheckDue =
      Math.floor(nowMs / anchorEveryMs) !== Math.floor(this.#lookedAfterAtMs / anchorEveryMs);
    this.#lookedAfterAtMs = nowMs;
    const anchor = await anchorUpTo(connection, position.high);
    // The row itself may be any of its id.
    if (anchor?.streamId !== position.anchor?.streamId) {
      const anchored = { ...position, anchor };
      await this.#store(anchored, []);
      this.#position = anchored;
    }
    if (isCheckDue) await this.#checkSame(connection);
    await this.#retireGaps(connection);
  }

  /** A database that was put back may keep its connections. */
  async #checkSame(connection: Connection): Promise<void> {
    const position = this.#position;
    if (position?.anchor === undefined) return;
    const isSame = await isAnchored(connection, position.anchor);
    // A purge takes the newest events away, too; going on from the anchor does no harm then.
    if (!isSame || (await highestId(connection)) < position.high) await this.#resume(connection);
    if (!isSame) this.#nowFollowing();
  }

  async #retireGaps(connection: Connection): Promise<void> {
    const position = this.#position;
    if (position === undefined || position.ledger.gaps.length === 0) return;
    const nowMs = this.#clock.nowMs();
    const announced = await announcedId(connection);
    const { ledger, retired } = position.ledger.retired(({ to, sinceMs }) => {
      const ageMs = nowMs - sinceMs;
      return ageMs > gapIsLostMs || (ageMs > gapIsOverMs && announced !== undefined && announced >= to);
    });
    if (retired.length === 0) return;
    const ids = retired.reduce((sum, { from, to }) => sum + to - from + 1, 0);
    this.#position = { ...position, ledger };
    this.#gapsRetired += ids;
    this.#observer.gapsRetired(ids);
    this.#upkeep.reconcileSoon();
  }

  /** Resolves when all that is visible now has been made. */
  #settled(): Promise<void> {
    if (this.#isClosing()) return Promise.resolve();
    return new Promise((resolve) => {
      this.#settling.push({ poll: this.#pollsBegun + 1, resolve });
      this.#pause.end();
    });
  }

  #betweenPolls(run: Errand['run']): Promise<void> {
    if (this.#isClosing()) return Promise.reject(new Error('the feed is closed'));
    return new Promise((resolve, reject) => {
      this.#errands.push({ run, resolve, reject });
      this.#pause.end();
    });
  }

  #note(error: unknown): void {
    const message = postgresFault(error);
    this.#failures += 1;
    this.#lastError = { message, atMs: this.#clock.nowMs() };
    this.#observer.failed(message);
  }
}
