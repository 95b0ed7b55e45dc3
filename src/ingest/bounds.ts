/** The bounds on the way of a change, with what each trades. */

/**
 * Changes whose folding was put off before short lists wait for it, too: while there is less, they come first. With more,
 * a stream of them that never pauses leaves more to a start.
 */
export const foldingDebtMax = 2 ** 14;

/**
 * Changes of a replacement that are committed together, so that a crash leaves all or nothing of them: 8 MiB in one
 * transaction. A larger difference is committed in parts, and a crash between them begins the replacement anew.
 */
export const changesAtOnceMax = 2 ** 20;

/** Changes in each of those parts: more make fewer pages be written twice, and hold single changes up for longer. */
export const changesPerReplacementCommit = 2 ** 16;

/** Joins of a replacement after which the names that came with them are stored: at most some ten megabytes of them. */
export const joinsPerNamesCommit = 2 ** 18;

/**
 * Changes of long lists that are committed together. Lists gather while the disk is busy, so a fast one takes them one by one;
 * on a slow one four callers with lists of 500 bring half again to twice as many changes a second with 2,048 as with 512. On a
 * fast one they bring the same, and a single change beside them takes 5.5 ms at the 99th percentile in place of 7.1
 * (`npm run bench -- store`). A list that is longer goes alone.
 */
export const changesPerCommitMax = 768;

/** A list of so few changes is committed before longer ones. */
export const shortListMax = 16;

/** Callers of `Ingest.apply` that may wait for their turn before further ones are refused with 503. */
export const ingestWaitingMax = 64;
