/**
 * Bounds that several folders share, with what each trades. Those that one folder alone enforces are in its own `bounds.ts`.
 * What an operator may want to change is a configuration key instead (config/schema.ts); bounds hold whatever that says.
 */

/**
 * Longest user or room ID, in bytes of UTF-8. The specification says 255, but rooms made before it was enforced hold
 * longer ones. Names are kept with a 15-bit length.
 */
export const nameBytesMax = 1024;

/** Most users in one question: it bounds the memory of an intersection. */
export const usersPerQuestionMax = 64;

/** Most rooms in one page, and what the path spellings, which never had pages, answer at most. */
export const roomsPerPageMax = 10_000;

/** Scratch memory that a shard keeps between batches; what an unusually large batch needed beyond it is given back. */
export const scratchBytesMax = 2 ** 20;

/** A start compacts the store only when at least so many IDs are joined to nothing, whatever their share. */
export const unusedNamesMin = 10_000;

/** Rooms whose members one pass over the users finds. */
export const roomsPerSearchMax = 256;

/** How long a page token is valid. The promise is ten minutes; the rest is for a client that renews its access token meanwhile. */
export const pageTokenLifetimeMs = 15 * 60_000;

/** Rejected lines that an import answer lists; the rest are only counted. */
export const rejectedListedMax = 100;
