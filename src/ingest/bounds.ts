/** The bounds on the way of a change, with what each trades. */

/**
 * While fewer changes than this are put off, short lists are committed before any folding; beyond, they wait for it as well. A
 * larger value would leave more to a start, where short lists come without a pause.
 */
export const foldingDebtMax = 2 ** 14;

/**
 * Most changes of a replacement that are committed together (8 MiB), so that a crash leaves all of them or none. A larger
 * difference is committed in parts, and after a crash between them the replacement begins anew.
 */
export const changesAtOnceMax = 2 ** 20;

/** Changes in each of those parts. With more, fewer pages are written twice, but single changes wait longer. */
export const changesPerReplacementCommit = 2 ** 16;

/** Joins of a replacement after which the names that came with them are stored: at most some ten megabytes of them. */
export const joinsPerNamesCommit = 2 ** 18;

/**
 * Changes of long lists that are committed together; a longer list goes alone. Lists gather while the disk is busy. Four callers
 * with lists of 500: on a slow disk, 2,048 brings 1.5 to 2 times as many changes a second as 512. On a fast disk both bring the
 * same, and 512 lets a single change beside them take 5.5 ms at the 99th percentile in place of 7.1 (`npm run bench -- store`).
 */
export const changesPerCommitMax = 768;

/** A list of so few changes is committed before longer ones. */
export const shortListMax = 16;

/** Callers of `Ingest.apply` that may wait for their turn before further ones are refused with 503. */
export const ingestWaitingMax = 64;
