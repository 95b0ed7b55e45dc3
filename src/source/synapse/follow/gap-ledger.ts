/**
 * The ids of Synapse's events stream that are missing below the highest one seen. Writers take ids before they commit, so ids become
 * visible out of order. An id in the ledger is looked for again and again, until it appears or is retired.
 *
 * Neighbouring ids are one range, so that a jump of the sequence is one entry. Immutable: a poll that fails leaves what was.
 * Cost: a pass over the ranges where something changes; at most `gapRangesMax` of them.
 */
import { gapRangesMax, oldestGapsKept } from '../bounds.js';

export interface Gap {
  readonly from: number;
  /** Included. */
  readonly to: number;
  /** When it was found missing, or its process began, by the monotonic clock: a step of the time of day makes nothing old. */
  readonly sinceMs: number;
}

export class GapLedger {
  /** Ascending. */
  readonly gaps: readonly Gap[];

  constructor(gaps: readonly Gap[]) {
    this.gaps = gaps;
  }

  /** How many ids are missing. */
  get idCount(): number {
    return this.gaps.reduce((sum, { from, to }) => sum + to - from + 1, 0);
  }

  /** Without ids that have been seen. @param ids ascending */
  without(ids: readonly number[]): GapLedger {
    if (ids.length === 0 || this.gaps.length === 0) return this;
    let index = 0;
    const gaps = this.gaps.flatMap((gap) => {
      while (index < ids.length && ids[index] < gap.from) index += 1;
      const first = index;
      while (index < ids.length && ids[index] <= gap.to) index += 1;
      return first === index ? gap : missing(gap.from, gap.to, ids.slice(first, index), gap.sinceMs);
    });
    return new GapLedger(gaps);
  }

  /**
   * With what is missing of a further piece of the stream.
   * @param from above every id so far
   * @param ids those seen, ascending
   */
  extended(from: number, to: number, ids: readonly number[], nowMs: number): GapLedger {
    const further = missing(from, to, ids, nowMs);
    return further.length === 0 ? this : new GapLedger([...this.gaps, ...further]);
  }

  /** Those below an id. */
  below(id: number): GapLedger {
    return new GapLedger(
      this.gaps.filter(({ from }) => from < id).map((gap) => (gap.to < id ? gap : { ...gap, to: id - 1 })),
    );
  }

  /** Gives up what will not come any more. @param isOver whether nobody can be writing it */
  retired(isOver: (gap: Gap) => boolean): { ledger: GapLedger; retired: readonly Gap[] } {
    const retired = this.gaps.filter(isOver);
    if (retired.length === 0) return { ledger: this, retired };
    return { ledger: new GapLedger(this.gaps.filter((gap) => !isOver(gap))), retired };
  }

  /** Gives up some where there are too many (bounds.ts says which). @returns how many ids that were */
  bounded(): { ledger: GapLedger; dropped: number } {
    const tooMany = this.gaps.length - gapRangesMax;
    if (tooMany <= 0) return { ledger: this, dropped: 0 };
    const ledger = new GapLedger([
      ...this.gaps.slice(0, oldestGapsKept),
      ...this.gaps.slice(oldestGapsKept + tooMany),
    ]);
    return { ledger, dropped: this.idCount - ledger.idCount };
  }
}

/** @param ids ascending, perhaps some of them twice */
function missing(from: number, to: number, ids: readonly number[], sinceMs: number): Gap[] {
  const gaps: Gap[] = [];
  let next = from;
  for (const id of ids) {
    if (id > next) gaps.push({ from: next, to: id - 1, sinceMs });
    next = Math.max(next, id + 1);
  }
  if (next <= to) gaps.push({ from: next, to, sinceMs });
  return gaps;
}
