/** The bounds of the store that are no configuration keys, with what each trades. */

/**
 * Fewest changes folded in one transaction while others wait to commit: about two milliseconds. Where more changes are put off,
 * as many as those: on a slow disk commits are larger, and folds must be so too, since each waits for the disk once.
 */
export const changesPerFoldMin = 512;

/** Most changes folded in one such transaction: a caller who changes a single membership waits for it. */
export const changesPerFoldMax = 768;

/**
 * A store's thread that has not answered for this long is given up, and every further change is refused. It is longer than the
 * largest commit takes on a slow disk. A thread that died inside a transaction never answers (store/exit-gate.ts).
 */
export const storeSilenceMaxMs = 10 * 60_000;

/** How long a process that ends waits for the transaction under way: longer than all but the largest take. */
export const exitWaitMs = 5_000;
