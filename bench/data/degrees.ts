/**
 * How many have how many: the degrees of one side of a membership graph (rooms a user, or members a room), as a
 * histogram. Who has none is not in it, as in a published list of memberships.
 *
 * Cost: an entry a distinct degree. There are few: a hundred million memberships have at most 14,000.
 */
export class Degrees {
  /** Distinct degrees, heaviest first, and how many have each. */
  readonly #classes: readonly (readonly [degree: number, count: number])[];
  /** How many have any. */
  readonly count: number;
  /** Of all together. */
  readonly sum: number;

  /** @param histogram from a degree to how many have it */
  constructor(histogram: ReadonlyMap<number, number>) {
    this.#classes = [...histogram].filter(([degree]) => degree > 0).sort(([left], [right]) => right - left);
    this.count = this.#classes.reduce((total, [, count]) => total + count, 0);
    this.sum = this.#classes.reduce((total, [degree, count]) => total + degree * count, 0);
  }

  static tally(degrees: Iterable<number>): Degrees {
    const histogram = new Map<number, number>();
    for (const degree of degrees) histogram.set(degree, (histogram.get(degree) ?? 0) + 1);
    return new Degrees(histogram);
  }

  get most(): number {
    return this.#classes[0][0];
  }

  atLeast(least: number): number {
    let total = 0;
    for (const [degree, count] of this.#classes) {
      if (degree < least) break;
      total += count;
    }
    return total;
  }

  /**
   * The balanced inequality ratio P: the share P that is heaviest has the share 1 - P of the sum. A half where all have
   * as many; the smaller, the more unequal.
   */
  inequality(): number {
    let nodes = 0;
    let edges = 0;
    for (const [degree, count] of this.#classes) {
      // So many of this degree, not always a whole number, bring both shares together to one.
      const needed = (1 - nodes / this.count - edges / this.sum) / (1 / this.count + degree / this.sum);
      if (needed <= count) return (nodes + needed) / this.count;
      nodes += count;
      edges += degree * count;
    }
    return 1;
  }
}
