/**
 * How much of a test runs? Files named `*.both.ts` are in both suites: with a few random runs, or the cases that differ most, in
 * the one that everybody runs, and with all of them in the slow one. A seed that is replayed is looked for among all runs.
 */
export const isWhole = process.env.TEST_SUITE === 'slow' || process.env.FUZZ_SEED !== undefined;

/** @param few in `npm test` @param all in `npm run test:slow` */
export function runs<Amount>(few: Amount, all: Amount): Amount {
  return isWhole ? all : few;
}
