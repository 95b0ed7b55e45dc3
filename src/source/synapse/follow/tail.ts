/**
 * One poll of the stream: which ids have become visible since the last one, and what holds now of the memberships that they
 * touched. What a change itself says is never believed, so its order does not matter, nor how often it is read.
 *
 * Ids are read first, and the memberships by a later snapshot: so all that a visible id touched is read. Missing ids go into the
 * ledger, and later polls look for them.
 *
 * Cost: a query of three index look-ups where nothing is new; one more while gaps are young; one more for what was touched.
 */
import type { Change } from '../../../base/change.js';
import type { Clock } from '../../../base/clock.js';
import { gapIsOldMs, gapIsYoungMs } from '../bounds.js';
import type { Connection } from '../database/connection.js';
import type { Gap } from './gap-ledger.js';
import { touchedMemberships } from '../database/memberships-query.js';
import type { Position } from './position.js';
import { filledIds, newIds } from './stream.js';

export interface Poll {
  /** How far the stream has been read once the changes are made. */
  readonly position: Position;
  /** Whether that is to its end: all that is visible above the position, and in the gaps that were looked for. */
  readonly isAtEnd: boolean;
  /** What holds of those that were touched, in pieces; undefined where nobody was. */
  readonly changes: AsyncIterable<Change[]> | undefined;
  /** Ids that were given up, because too many are missing. */
  readonly gapsDropped: number;
}

export class Tail {
  readonly #connection: Connection;
  readonly #clock: Clock;
  #probedMidMs = -Infinity;
  #probedOldMs = -Infinity;
  #looksForAll = false;

  constructor(connection: Connection, clock: Clock) {
    this.#connection = connection;
    this.#clock = clock;
  }

  /** The next poll looks for every gap, however old. */
  lookForAll(): void {
    this.#looksForAll = true;
  }

  /**
   * @param looksForAll whether to look for every gap, however old
   * @returns undefined when the database is not the one that was read before
   */
  async poll({ high, ledger, anchor, asOfMs }: Position, looksForAll: boolean): Promise<Poll | undefined> {
    const nowMs = this.#clock.monotonicMs();
    const beganAtMs = this.#clock.nowMs();
    const due = looksForAll || this.#looksForAll ? ledger.gaps : this.#due(ledger.gaps, nowMs);
    this.#looksForAll = false;
    const filled = await filledIds(this.#connection, due);
    const fresh = await newIds(this.#connection, high, anchor);
    if (!fresh.isSame) return undefined;
    if (!filled.isAll) this.lookForAll();
    const isAtEnd = fresh.isAtEnd && filled.isAll;
    const { ledger: next, dropped } = ledger
      .without(filled.ids)
      .extended(high + 1, fresh.upTo, fresh.ids, nowMs)
      .bounded();
    // Whatever the id of a gap was for, what it touched is read: it is visible together with the id.
    const hasTouched = fresh.anchor !== undefined || filled.ids.length > 0;
    return {
      position: {
        high: fresh.upTo,
        ledger: next,
        anchor: fresh.anchor ?? anchor,
        asOfMs: isAtEnd ? beganAtMs : asOfMs,
      },
      isAtEnd,
      changes: hasTouched
        ? this.#connection.copyMemberships(touchedMemberships(high, fresh.upTo, distinct(filled.ids)))
        : undefined,
      gapsDropped: dropped,
    };
  }

  /** Which gaps to look for now: the older, the less often. */
  #due(gaps: readonly Gap[], nowMs: number): readonly Gap[] {
    if (gaps.length === 0) return gaps;
    const isMidDue = nowMs >= this.#probedMidMs + 1_000;
    const isOldDue = nowMs >= this.#probedOldMs + 10_000;
    if (isMidDue) this.#probedMidMs = nowMs;
    if (isOldDue) this.#probedOldMs = nowMs;
    return gaps.filter(({ sinceMs }) => {
      const ageMs = nowMs - sinceMs;
      if (ageMs < gapIsYoungMs) return true;
      return ageMs < gapIsOldMs ? isMidDue : isOldDue;
    });
  }
}

/** @param ids ascending */
function distinct(ids: readonly number[]): number[] {
  return ids.filter((id, index) => id !== ids[index - 1]);
}
