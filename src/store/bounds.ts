/** The bounds of the store that are no configuration keys, with what each trades. */

/**
 * Changes folded in one transaction while others wait to commit: about two milliseconds. As many as are put off, where that is
 * more: commits are larger when the disk is slow, and so are these then, since each waits for it once.
 */
export const changesPerFoldMin = 512;

/** The same at most: who changes a single membership waits for it. */
export const changesPerFoldMax = 768;

/**
 * A store's thread that has not answered for so long is given up, and with it every further change: longer than the largest
 * commit takes on a slow disk. A thread that died inside a transaction says nothing (store/exit-gate.ts).
 */
export const storeSilenceMaxMs = 10 * 60_000;

/** A process that ends waits so long for the transaction under way: longer than all but the largest take. */
export const exitWaitMs = 5_000;
