/** The bounds of the feed from Synapse, each with what it trades. */

/** Ranges of missing ids that are looked for; beyond it the oldest ones are left to the reconciliation. */
export const gapRangesMax = 10_000;

/** Ids of each table that one poll reads: what is further behind is read in pieces, so that memory stays bounded. */
export const idsPerPollMax = 2_000;

/** Ids of one gap that one poll finds again, in each table. */
export const idsPerGapMax = 1_000;

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

/** A step of the clock by more than this is no passing of time. */
export const clockJumpMs = 10_000;

/** Where nothing but messages comes, how far the stream was read is stored this often. */
export const cursorEveryMs = 1_000;

/** How often the connection is checked to be to the database that was read before. */
export const anchorEveryMs = 30_000;

/** Changes that are applied together. */
export const changesPerApply = 2_048;

/** Before a connection that broke is opened again: doubled each time, up to the second figure. */
export const firstRetryMs = 100;
export const retryMsMax = 5_000;

/** A page of rooms that nobody has read for long may take minutes from a slow disk. */
export const upkeepPatience = { connectMsMax: 10_000, silenceMsMax: 10 * 60_000 };

/** Two polls are at least so far apart, whoever wakes the feed. */
export const pollSpacingMs = 5;

/** Rooms that are compared, or looked for, in one query. */
export const roomsPerQuery = 1_000;

/** Members of rooms that are read again together, by what the index has of them, unless one room has more. */
export const membersPerRepairMax = 200_000;

/** Rooms changed during a reconciliation that are remembered; with more of them it is broken off. */
export const roomsTouchedMax = 500_000;

/** A query of the upkeep is followed by a pause of so many times its length: it takes an eighth of one of PostgreSQL's cores. */
export const upkeepPause = 7;
