/**
 * One poll of the stream: which ids have become visible since the last one, and what holds now of the memberships that they
 * touched. What a change itself says is never believed, so it does not matter in which order, and how often, changes are read.
 *
 * Ids are read before the memberships, by a later snapshot: an id that is seen has all it touched read. What is missing goes
 * into the ledger, and is looked for in the polls after.
 *
 * Cost: a query of three index look-ups where nothing is new; one more while gaps are young; one more for what was touched.
 */
import type { Change } from '../../base/change.js';
import type { Clock } from '../../base/clock.js';
import { clockJumpMs, gapIsOldMs, gapIsYoungMs } from './bounds.js';
import type { Connection } from './connection.js';
import type { Gap, GapLedger } from './gap-ledger.js';
import { touchedMemberships } from './memberships-query.js';
import type { Position } from './position.js';
import { filledIds, newIds } from './stream.js';

export interface Poll {
  /** How far the stream has been read once the changes are made. */
  readonly position: Position;
  /** Whether that is to its end. */
  readonly isAtEnd: boolean;
  /** The highest id under which any state was touched, of those seen in this poll; 0 when there was none. */
  readonly stateUpTo: number;
  /** What holds of those that were touched, in pieces; undefined where nobody was. */
  readonly changes: AsyncIterable<Change[]> | undefined;
}

export class Tail {
  readonly #connection: Connection;
  readonly #clock: Clock;
  /** By how much the time of day was ahead of the monotonic one. */
  #aheadMs: number | undefined;
  #probedMidMs = -Infinity;
  #probedOldMs = -Infinity;

  constructor(connection: Connection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  async poll({ high, ledger: stored, anchor, asOfMs }: Position): Promise<Poll> {
    const nowMs = this.#clock.nowMs();
    const ledger = this.#withoutJumps(stored, nowMs);
    const filled = await filledIds(this.#connection, this.#due(ledger.gaps, nowMs));
    const fresh = await newIds(this.#connection, high);
    const position = {
      high: fresh.upTo,
      ledger: ledger.without(filled.ids).extended(high + 1, fresh.upTo, fresh.ids, nowMs),
      anchor,
      asOfMs: fresh.isAtEnd ? nowMs : asOfMs,
    };
    const withState = [...fresh.withState, ...filled.withState];
    return {
      position,
      isAtEnd: fresh.isAtEnd,
      stateUpTo: withState.reduce((highest, id) => Math.max(highest, id), 0),
      changes:
        withState.length === 0
          ? undefined
          : this.#connection.copyMemberships(touchedMemberships(high, fresh.upTo, filled.withState)),
    };
  }

  /** A machine that slept, or whose clock was wrong, must not give up what is missing for a moment only. */
  #withoutJumps(ledger: GapLedger, nowMs: number): GapLedger {
    const aheadMs = nowMs - this.#clock.monotonicMs();
    const jumpMs = aheadMs - (this.#aheadMs ?? aheadMs);
    if (this.#aheadMs !== undefined && Math.abs(jumpMs) < clockJumpMs) return ledger;
    this.#aheadMs = aheadMs;
    return jumpMs === 0 ? ledger : ledger.shifted(jumpMs);
  }

  /** Which gaps to look for now: the older, the less often. */
  #due(gaps: readonly Gap[], nowMs: number): readonly Gap[] {
    if (gaps.length === 0) return gaps;
    const isMidDue = nowMs >= this.#probedMidMs + 1_000 || nowMs < this.#probedMidMs;
    const isOldDue = nowMs >= this.#probedOldMs + 10_000 || nowMs < this.#probedOldMs;
    if (isMidDue) this.#probedMidMs = nowMs;
    if (isOldDue) this.#probedOldMs = nowMs;
    return gaps.filter(({ sinceMs }) => {
      const ageMs = nowMs - sinceMs;
      // A clock that was set back makes nothing young for long.
      if (ageMs < gapIsYoungMs) return true;
      return ageMs < gapIsOldMs ? isMidDue : isOldDue;
    });
  }
}
