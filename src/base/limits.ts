/**
 * Bounds that several parts share, with what each trades. A bound of one part alone is in the `bounds.ts` of its folder; what an
 * operator may want to change is a configuration key (config/schema.ts).
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

/** Fewer IDs that are joined to nothing are no reason to compact a store at start, whatever their share. */
export const unusedNamesMin = 10_000;

/** Rooms whose members are looked for at once: each pass over the users finds those of so many. */
export const roomsPerSearchMax = 256;

/** How long a page token opens after it was made. The promise is ten minutes; the rest covers a client that renews its access token in between. */
export const pageTokenLifetimeMs = 15 * 60_000;

/** One line of NDJSON, or one element of a msgpack array. Two IDs of `nameBytesMax`, each byte escaped as \uXXXX, and the rest. */
export const changeBytesMax = 16 * 1024;

/** Rejected lines that an import answer lists; the rest are only counted. */
export const rejectedListedMax = 100;

/** What a homeserver may answer to `whoami` or `versions`. */
export const homeserverAnswerBytesMax = 256 * 1024;

/**
 * Requests that the HTTP server answers at once, one a connection; further ones get 503. More lets more clients wait for a
 * slow homeserver, and lets more of them hold memory.
 */
export const requestsInFlightMax = 2_048;

/**
 * Requests that wait behind another one of their connection (pipelined), in the whole server: about 3 kB each. A connection
 * that sends one more is closed, which pipelining clients must expect. One read of a connection brings at most 64 KiB.
 */
export const requestsPipelinedMax = 16_384;

/**
 * Answers up to this size are not counted against `answerBytesWaitingMax`: pages always find room, whatever the readers of
 * large answers do. One a request in flight: 128 MiB at most.
 */
export const smallAnswerBytesMax = 64 * 1024;

/** Larger answers that wait for their readers, in bytes. Beyond it the slowest reader is cut off, or the answer is a 503. */
export const answerBytesWaitingMax = 64 * 2 ** 20;

/** How long a reader has before it may be cut off for somebody else: time for 500 kB at 1 Mbit/s. */
export const readerGraceMs = 5_000;

/** A connection that takes nothing of its answer for so long is closed, twice this at the latest: frees what it holds. */
export const answerStalledMs = 20_000;

/** Open connections; further ones are closed at once. Idle ones cost about 12 kB each. */
export const connectionsMax = 16_384;
