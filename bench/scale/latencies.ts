/** Many times of one thing, and what they were like. Each holds a reading of the clock, some 50 ns. */
export interface Distribution {
  readonly count: number;
  readonly mean: number;
  readonly p50: number;
  readonly p95: number;
  readonly p99: number;
  readonly p999: number;
  readonly most: number;
}

export class Latencies {
  readonly #milliseconds: Float64Array;
  #count = 0;

  constructor(capacity: number) {
    this.#milliseconds = new Float64Array(capacity);
  }

  /** What does not fit any more is left out. */
  add(milliseconds: number): void {
    if (this.#count < this.#milliseconds.length) this.#milliseconds[this.#count++] = milliseconds;
  }

  /** In microseconds. */
  distribution(): Distribution {
    const sorted = this.#milliseconds.subarray(0, this.#count).sort();
    const at = (share: number): number =>
      (sorted[Math.min(sorted.length - 1, Math.floor(sorted.length * share))] ?? 0) * 1000;
    const sum = sorted.reduce((total, each) => total + each, 0);
    return {
      count: sorted.length,
      mean: (sum / Math.max(1, sorted.length)) * 1000,
      ...{ p50: at(0.5), p95: at(0.95), p99: at(0.99), p999: at(0.999), most: at(1) },
    };
  }
}
