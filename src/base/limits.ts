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
 * Changes folded in one transaction while others wait to commit: about two milliseconds. As many as are put off, where that is
 * more: commits are larger when the disk is slow, and so are these then, since each waits for it once.
 */
export const changesPerFoldMin = 512;

/** The same at most: who changes a single membership waits for it. */
export const changesPerFoldMax = 768;

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

/** Fewer IDs that are joined to nothing are no reason to compact a store at start, whatever their share. */
export const unusedNamesMin = 10_000;

/** Records of a store read in one step of a start: about a millisecond. */
export const recordsPerStep = 4096;

/**
 * A store's thread that has not answered for so long is given up, and with it every further change: longer than the largest
 * commit takes on a slow disk. A thread that died inside a transaction says nothing (store/exit-gate.ts).
 */
export const storeSilenceMaxMs = 10 * 60_000;

/** A process that ends waits so long for the transaction under way: longer than all but the largest take. */
export const exitWaitMs = 5_000;

/** How often a start tells how far it has come. */
export const progressIntervalMs = 100;

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

/** Users looked through in one step of `forgetRoom`, so that queries slip in between. */
export const usersPerForgetStep = 65_536;

/** Users whose rooms are listed, or summed up by room, in one step: about a millisecond of a shard. */
export const usersPerListStep = 8_192;

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
