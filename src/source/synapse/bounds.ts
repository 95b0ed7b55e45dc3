/** The bounds of the feed from Synapse, each with what it trades. */

/**
 * Ranges of missing ids that are looked for, 300 kB with each commit. Beyond it some are left to the reconciliation: neither the
 * oldest ones, which may be a transaction that hangs, nor the newest, which may be under way.
 */
export const gapRangesMax = 10_000;
export const oldestGapsKept = 1_000;

/** Ids of each table that one poll reads: what is further behind is read in pieces, so that memory stays bounded. */
export const idsPerPollMax = 2_000;

/** Ids of one gap that one poll finds, in each table, and of all gaps together: the others are found by the next one. */
export const idsPerGapMax = 1_000;
export const idsInGapsMax = 10_000;

/** How far below the highest id a bootstrap looks for missing ones, at least: what is in flight is a few ids below it. */
export const bootstrapLookBackMin = 10_000;

/** The same at most, where a writer that rests holds the stream's position back. */
export const bootstrapLookBackMax = 1_000_000;

/** Memberships that a copy hands on together: fewer cost more for each. */
export const joinsTogether = 8_192;

/** A missing id this young is looked for in every poll: nearly all appear within 150 ms. */
export const gapIsYoungMs = 10_000;

/** One that is older, but younger than this, is looked for every second; all others every ten. */
export const gapIsOldMs = 5 * 60_000;

/**
 * When nobody can be writing a missing id any more: its writer has announced that all up to it are done, and so long ago
 * that a writer whom nobody knew of would have given up. Synapse ends a statement after ten minutes, and tries five times.
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

/** At a start that cannot read the database for so long, what was known last is answered. */
export const goesWithoutMs = 5_000;

/** A connection that compares, and whose server may be gone, is given up when nothing came for so long. */
export const doubtMsMax = 30_000;

/** The same before all is copied again, when a copy broke off. */
export const firstCopyRetryMs = 1_000;
export const copyRetryMsMax = 10 * 60_000;

/** Two polls are at least so far apart, whoever wakes the feed. */
export const pollSpacingMs = 5;

/** Rooms that are compared, or looked for, in one query. */
export const roomsPerQuery = 1_000;

/** Members of rooms that are read again together, by what the index has of them, unless one room has more. */
export const membersPerRepairMax = 200_000;

/** Rooms changed during a reconciliation that are remembered; with more of them it begins anew. */
export const roomsTouchedMax = 500_000;

/** A query that compares is followed by a pause of so many times its length: it works an eighth of the time. */
export const comparingPause = 7;

/** A page of rooms that nobody has read for long may take minutes from a slow disk. */
export const comparingPatience = { connectMsMax: 10_000, silenceMsMax: 10 * 60_000 };

/** After a reconciliation the next one begins no sooner, whoever asks for it: so long, and so many times its own length. */
export const reconcileRestMsMin = 5 * 60_000;
export const reconcileRestShare = 8;

/** How often it is looked whether a sweep or a reconciliation is due, and how soon one that failed is tried again. */
export const choreLookEveryMs = 1_000;
export const choreRetryMs = 10_000;
