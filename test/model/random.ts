/** Numbers that look random and are the same for the same seed: for tests that draw more than fast-check should shrink. */
export type Random = (end: number) => number;

/** @returns a function that draws an integer from 0 up to, not including, its argument */
export function seededRandom(seed: number): Random {
  let state = seed >>> 0;
  return (end) => {
    // mulberry32
    state = (state + 0x6d2b79f5) >>> 0;
    let mixed = state;
    mixed = Math.imul(mixed ^ (mixed >>> 15), mixed | 1);
    mixed ^= mixed + Math.imul(mixed ^ (mixed >>> 7), mixed | 61);
    return Math.floor((((mixed ^ (mixed >>> 14)) >>> 0) / 2 ** 32) * end);
  };
}
