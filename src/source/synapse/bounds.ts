/** The bounds of the feed from Synapse, each with what it trades. */

/**
 * Most ranges of missing ids that are looked for; they take 300 kB in each commit. Beyond it some are given up and left to the
 * reconciliation: not the oldest, which may be a transaction that hangs, and not the newest, which may be under way.
 */
export const gapRangesMax = 10_000;
export const oldestGapsKept = 1_000;

/** Most ids of each table that one poll reads: a longer backlog is read in pieces, so that memory stays bounded. */
export const idsPerPollMax = 2_000;

/** Most ids that one poll finds of one gap in each table, and of all gaps together. The next poll finds the others. */
export const idsPerGapMax = 1_000;
export const idsInGapsMax = 10_000;

/** How far below the highest id a bootstrap looks for missing ones, at least: what is in flight is a few ids below it. */
export const bootstrapLookBackMin = 10_000;

/** The most that it looks below the highest id, where a writer that rests holds the stream's position back. */
export const bootstrapLookBackMax = 1_000_000;

/** Memberships that a copy hands on together: fewer cost more for each. */
export const joinsTogether = 8_192;

/** A missing id this young is looked for in every poll: nearly all appear within 150 ms. */
export const gapIsYoungMs = 10_000;

/** One that is older, but younger than this, is looked for every second; all others every ten. */
export const gapIsOldMs = 5 * 60_000;

/**
 * A missing id is given up this long after it was found missing, when the writers have announced that all ids up to it are done. A
 * writer that has announced nothing yet would have given up by then: Synapse ends a statement after ten minutes, and tries five
 * times.
 */
export const gapIsOverMs = 60 * 60_000;

/** After this a missing id is given up, whatever the writers say. */
export const gapIsLostMs = 24 * 60 * 60_000;

/** Where nothing but messages comes, how far the stream was read is stored this often. */
export const cursorEveryMs = 1_000;

/** How often it is checked that the highest id has not gone down. */
export const idsCheckedEveryMs = 30_000;

/** Changes that are applied together. */
export const changesPerApply = 2_048;

/** Before a connection that broke is opened again: doubled each time, up to the second figure. */
export const firstRetryMs = 100;
export const retryMsMax = 5_000;

/** When a start cannot read the database for this long, questions are answered from what was known last. */
export const goesWithoutMs = 5_000;

/** When the server may be gone, a connection that compares is given up after this long without an answer. */
export const doubtMsMax = 30_000;

/** The same two figures for a copy that broke off. */
export const firstCopyRetryMs = 1_000;
export const copyRetryMsMax = 10 * 60_000;

/** Least time between two polls, however often Redis wakes the feed. */
export const pollSpacingMs = 5;

/** Rooms that are compared, or looked for, in one query. */
export const roomsPerQuery = 1_000;

/** Most members, by the index, of the rooms that are read again together. A room with more is read alone. */
export const membersPerRepairMax = 200_000;

/** Most changed rooms that a reconciliation remembers; with more of them it begins anew. */
export const roomsTouchedMax = 500_000;

/** After a query that compares comes a pause of this many times its length: so comparing works an eighth of the time. */
export const comparingPause = 7;

/** A page of rooms that nobody has read for long may take minutes from a slow disk. */
export const comparingPatience = { connectMsMax: 10_000, silenceMsMax: 10 * 60_000 };

/** Least time until the next reconciliation, even if one is asked for: this long, and this many times the length of the last one. */
export const reconcileRestMsMin = 5 * 60_000;
export const reconcileRestShare = 8;

/** How often it is looked whether a sweep or a reconciliation is due, and how soon one that failed is tried again. */
export const choreLookEveryMs = 1_000;
export const choreRetryMs = 10_000;
