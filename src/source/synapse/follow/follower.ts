/**
 * Makes the index what the database has, and keeps it so: copies everything, or goes on from where it was, and then polls. When its
 * connection fails, it is given another one and keeps what it knows.
 *
 * One thing at a time: a poll, what holds of the memberships that it touched, the commit of those with the position, and then
 * what others ask for (errands.ts). So the index only ever moves to what the database said later.
 */
import { assert } from '../../../base/assert.js';
import type { Change } from '../../../base/change.js';
import type { Clock } from '../../../base/clock.js';
import type { Destination } from '../../destination.js';
import type { SourceStatus } from '../../source.js';
import { bootstrap } from './bootstrap.js';
import {
  idsCheckedEveryMs,
  changesPerApply,
  cursorEveryMs,
  gapIsLostMs,
  gapIsOverMs,
  pollSpacingMs,
} from '../bounds.js';
import type { Connection } from '../database/connection.js';
import type { Errands } from './errands.js';
import type { FeedObserver } from '../feed-observer.js';
import type { Pause } from './pause.js';
import { cursorOf, readCursor, type Position } from './position.js';
import { announcedId, filledIds, highestId, isAnchored } from './stream.js';
import { Tail, type Poll } from './tail.js';
import { TouchedRooms } from './touched-rooms.js';

export interface FollowerDeps {
  readonly destination: Destination;
  readonly observer: FeedObserver;
  readonly clock: Clock;
  readonly pollIntervalMs: number;
  readonly pause: Pause;
  readonly errands: Errands;
  readonly signal: AbortSignal;
  /** Called when something may have been missed: every room should be compared. */
  readonly onDoubt: () => void;
}

/** Without `disconnected`: its caller (feed.ts) knows whether there is a connection. */
export type FollowerState = Exclude<SourceStatus['state'], 'disconnected'>;

export class Follower {
  readonly #deps: FollowerDeps;
  #position: Position | undefined;
  /** Why all is copied before anything is followed: there is nothing to go on from, or a part of a copy may have been made. */
  #whyCopy: string | undefined;
  #state: FollowerState = 'connecting';
  #touched: TouchedRooms | undefined;
  #storedAtMs = -Infinity;
  #storedHigh = -1;
  #lookedAfterAtMs = 0;
  #checkedAtMs = 0;
  #isWhole!: () => void;
  /** Resolves when the index is what the homeserver has, as of some moment. */
  readonly whole = new Promise<void>((resolve) => (this.#isWhole = resolve));
  #isCaughtUp!: () => void;
  /** Resolves when it is that as of now: changes before are made. */
  readonly caughtUp = new Promise<void>((resolve) => (this.#isCaughtUp = resolve));
  rowsRead = 0;
  changesMade = 0;
  copies = 0;
  gapsRetired = 0;

  constructor(deps: FollowerDeps) {
    this.#deps = deps;
    const read = readCursor(deps.destination.cursor, deps.clock.monotonicMs());
    this.#position = read.position;
    if (read.position !== undefined) this.#isWhole();
    else {
      this.#whyCopy = read.why;
      if (read.isUnreadable) deps.observer.advice(`${read.why}: all memberships are copied anew`);
    }
  }

  get position(): Position | undefined {
    return this.#position;
  }

  /**
   * Whether what is stored is what the homeserver had at some moment. Not while a replacement of it is made in part, nor after one
   * that was broken off. Reads the store.
   */
  isStoredWhole(): boolean {
    try {
      return readCursor(this.#deps.destination.cursor, 0).position !== undefined;
    } catch {
      // A disk that fails.
      return false;
    }
  }

  get state(): FollowerState {
    return this.#state;
  }

  /** @returns the rooms that are changed from now on, as they come; until `stopRecording` */
  recordTouched(): TouchedRooms {
    this.#touched = new TouchedRooms();
    return this.#touched;
  }

  stopRecording(): void {
    this.#touched = undefined;
  }

  /**
   * Until the connection fails, or the signal.
   * @param onPoll called when a poll has succeeded
   */
  async follow(connection: Connection, onPoll: () => void): Promise<void> {
    const { errands, pause, pollIntervalMs } = this.#deps;
    this.#state = 'connecting';
    await this.#resume(connection);
    const tail = new Tail(connection, this.#deps.clock);
    while (!this.#isOver()) {
      const isAtEnd = await this.#poll(tail, connection);
      onPoll();
      this.#nowIs(isAtEnd);
      await errands.run(connection);
      await this.#lookAfter(connection, tail);
      if (isAtEnd) await pause.between(pollSpacingMs, pollIntervalMs);
    }
  }

  #isOver(): boolean {
    return this.#deps.signal.aborted;
  }

  #nowIs(isAtEnd: boolean): void {
    if (this.#state === 'following') return;
    this.#state = isAtEnd ? 'following' : 'catching_up';
    if (!isAtEnd) return;
    this.#deps.observer.following(this.#position?.high ?? 0);
    this.#isCaughtUp();
  }

  /**
   * Goes on from where it was, in this process or before it; copies everything where that cannot be.
   *
   * It goes on from the anchor: ids above it were read, but a database that was put back gives them out again.
   */
  async #resume(connection: Connection): Promise<void> {
    const known = this.#position;
    if (this.#whyCopy !== undefined) return this.#copy(connection, this.#whyCopy);
    assert(known !== undefined, 'without a position there is a reason to copy');
    const { anchor } = known;
    // Without an anchor there was no room yet, so there is little to copy.
    if (anchor === undefined) return this.#copy(connection, 'there was no state when it was last read');
    if (!(await isAnchored(connection, anchor))) {
      const message =
        `a change that was read is not in the database any more (stream id ${anchor.streamId}): ` +
        'it is an older state of it, or another database';
      this.#deps.observer.notTheSame(message);
      return this.#copy(connection, message);
    }
    this.#position = { ...known, high: anchor.streamId, ledger: known.ledger.below(anchor.streamId) };
    // A server that took over may lack what was committed last, and have the anchor all the same.
    this.#deps.onDoubt();
  }

  async #copy(connection: Connection, why: string): Promise<void> {
    const { destination, observer, clock } = this.#deps;
    this.#state = 'copying';
    this.#whyCopy ??= 'the copy before was not finished';
    this.#touched?.addAll();
    const beganMs = clock.monotonicMs();
    const { position, rows, joined, left } = await bootstrap(connection, destination, clock, (done, about) =>
      observer.copying(done, about),
    );
    this.#whyCopy = undefined;
    this.#position = position;
    this.#storedHigh = position.high;
    this.rowsRead += rows;
    this.copies += 1;
    observer.copied({ why, rows, joined, left, seconds: (clock.monotonicMs() - beganMs) / 1000 });
    this.#isWhole();
  }

  /** @returns whether the stream was read to its end */
  async #poll(tail: Tail, connection: Connection): Promise<boolean> {
    if (this.#position === undefined) throw new Error('a poll begins from a position');
    const { errands } = this.#deps;
    const number = errands.pollBegins();
    const poll = await tail.poll(this.#position, errands.isSettling);
    if (poll === undefined) {
      await this.#resume(connection);
      return false;
    }
    await this.#make(poll);
    if (poll.gapsDropped > 0) this.#giveUp(poll.gapsDropped);
    if (poll.isAtEnd) errands.pollEnded(number);
    return poll.isAtEnd;
  }

  async #make({ position, changes }: Poll): Promise<void> {
    const { destination, clock } = this.#deps;
    let batch: Change[] = [];
    for await (const piece of changes ?? []) {
      this.rowsRead += piece.length;
      for (const change of piece) this.#touched?.add(change.roomId);
      batch = batch.length === 0 ? piece : batch.concat(piece);
      if (batch.length < changesPerApply) continue;
      this.changesMade += await destination.apply(batch);
      batch = [];
    }
    const isDue =
      position.high !== this.#storedHigh && clock.monotonicMs() - this.#storedAtMs >= cursorEveryMs;
    // Each commit of changes carries the position, and with it the anchor by which the database is recognised.
    if (changes !== undefined || isDue) {
      this.changesMade += await destination.apply(batch, cursorOf(position));
      this.#storedHigh = position.high;
      this.#storedAtMs = clock.monotonicMs();
    }
    this.#position = position;
  }

  /** Does what need not be done in every poll. */
  async #lookAfter(connection: Connection, tail: Tail): Promise<void> {
    const nowMs = this.#deps.clock.monotonicMs();
    if (nowMs - this.#lookedAfterAtMs < cursorEveryMs) return;
    this.#lookedAfterAtMs = nowMs;
    if (nowMs - this.#checkedAtMs >= idsCheckedEveryMs) {
      this.#checkedAtMs = nowMs;
      await this.#checkIds(connection);
    }
    await this.#retireGaps(connection, tail);
  }

  /** A database that was put back to after the anchor, with connections kept, gives ids out again that have been read. */
  async #checkIds(connection: Connection): Promise<void> {
    const position = this.#position;
    if (position?.anchor === undefined) return;
    // A purge takes the newest events away, too; going on from the anchor does no harm then.
    if ((await highestId(connection)) < position.high) await this.#resume(connection);
  }

  async #retireGaps(connection: Connection, tail: Tail): Promise<void> {
    const position = this.#position;
    if (position === undefined || position.ledger.gaps.length === 0) return;
    const nowMs = this.#deps.clock.monotonicMs();
    const announced = (await announcedId(connection)) ?? 0;
    const { ledger, retired } = position.ledger.retired(({ to, sinceMs }) => {
      const ageMs = nowMs - sinceMs;
      return ageMs > gapIsLostMs || (ageMs > gapIsOverMs && announced >= to);
    });
    if (retired.length === 0) return;
    // After the writers were asked: what they announced is visible now, if it was ever written.
    if ((await filledIds(connection, retired)).ids.length > 0) {
      tail.lookForAll();
      return;
    }
    this.#position = { ...position, ledger };
    this.#giveUp(position.ledger.idCount - ledger.idCount);
  }

  #giveUp(ids: number): void {
    this.gapsRetired += ids;
    this.#deps.observer.gapsRetired(ids);
    this.#deps.onDoubt();
  }
}
