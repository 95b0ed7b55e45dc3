/**
 * Every bound of the system, in one place, with what it trades. What an operator may want to change is a configuration
 * key instead (config/schema.ts); these are the bounds that hold whatever the configuration says.
 */

/**
 * Longest user or room ID, in bytes of UTF-8. The specification says 255, but rooms made before it was enforced hold
 * longer ones. Names are kept with a 15-bit length.
 */
export const nameBytesMax = 1024;

/** Most users in one question: it bounds the memory of an intersection. */
export const usersPerQuestionMax = 64;

/** Most users that one `sharesMany` may name. */
export const othersPerQuestionMax = 10_000;

/** Most rooms in one page, and what the path spellings, which never had pages, answer at most. */
export const roomsPerPageMax = 10_000;

/** Questions that may wait for one shard before further ones are refused with 503. */
export const questionsWaitingMax = 16_384;

/** Questions that travel to a worker in one task. */
export const questionsPerTaskMax = 512;

/**
 * What the questions of one task may cost together (shard/wire.ts `questionCost`: about a room each): bounds the time that
 * one task holds a shard, and the memory of its answers. A question that costs more travels alone.
 */
export const costPerTaskMax = 20_000;

/** The same for all questions that wait for one shard: a thousand of the largest, about three seconds of work. */
export const costWaitingMax = 10_000_000;

/** Scratch memory that a shard keeps between batches; what an unusually large batch needed beyond it is given back. */
export const scratchBytesMax = 2 ** 20;

/**
 * Changes that are numbered and sent to the shards at once: about 0.2 ms of work, so that queries slip in between. With
 * 2,048 of them the slowest hundredth of queries waits for a millisecond.
 */
export const changesPerTaskMax = 256;

/**
 * Fewest changes folded in one transaction while others wait to commit: about two milliseconds. Where more changes are put off,
 * as many as those: on a slow disk commits are larger, and folds must be so too, since each waits for the disk once.
 */
export const changesPerFoldMin = 512;

/** Most changes folded in one such transaction: a caller who changes a single membership waits for it. */
export const changesPerFoldMax = 768;

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

/** A start compacts the store only when at least so many IDs are joined to nothing, whatever their share. */
export const unusedNamesMin = 10_000;

/** Records of a store read in one step of a start: about a millisecond. */
export const recordsPerStep = 4096;

/**
 * A store's thread that has not answered for this long is given up, and every further change is refused. It is longer than the
 * largest commit takes on a slow disk. A thread that died inside a transaction never answers (store/exit-gate.ts).
 */
export const storeSilenceMaxMs = 10 * 60_000;

/** How long a process that ends waits for the transaction under way: longer than all but the largest take. */
export const exitWaitMs = 5_000;

/** How often a start tells how far it has come. */
export const progressIntervalMs = 100;

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

/** Users looked through in one step of `forgetRoom`, so that queries slip in between. */
export const usersPerForgetStep = 65_536;

/** Users whose rooms are listed, or summed up by room, in one step: about a millisecond of a shard. */
export const usersPerListStep = 8_192;

/** Rooms whose members one pass over the users finds. */
export const roomsPerSearchMax = 256;

/** How long a page token is valid. The promise is ten minutes; the rest is for a client that renews its access token meanwhile. */
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

/** A connection that takes nothing of its answer for this long, or at the latest twice as long, is closed: that frees what it holds. */
export const answerStalledMs = 20_000;

/** Open connections; further ones are closed at once. Idle ones cost about 12 kB each. */
export const connectionsMax = 16_384;
