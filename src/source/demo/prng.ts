/**
 * A small generator of pseudo-random numbers (mulberry32): the same seed gives the same numbers on every machine.
 *
 * For made-up data only; nothing secret may come from it.
 */
export class Prng {
  #state: number;

  constructor(seed: number) {
    this.#state = seed >>> 0;
  }

  /** In [0, 1). */
  next(): number {
    this.#state = (this.#state + 0x6d2b79f5) >>> 0;
    let mixed = this.#state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return ((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32;
  }

  /** A whole number in [0, end). */
  below(end: number): number {
    return Math.floor(this.next() * end);
  }

  /** A whole number in [0, end), small ones far likelier: the density falls about as 1/(n + 1). */
  skewedBelow(end: number): number {
    return Math.min(end - 1, Math.floor((end + 1) ** this.next()) - 1);
  }

  /** Pareto from `least` on; a smaller `shape` has a heavier tail. */
  pareto(least: number, shape: number): number {
    return least / (1 - this.next()) ** (1 / shape);
  }

  text(length: number, alphabet: string): string {
    let text = '';
    while (text.length < length) text += alphabet[this.below(alphabet.length)];
    return text;
  }
}
