/** What the HTTP server has under way, takes and waits for at most, with what each bound trades. */

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

/** A request that has not arrived whole by then is given up. It is enough for the longest import body on a slow line. */
export const requestTimeoutMs = 5 * 60_000;

/** How long a connection that was answered is kept for its next request: longer than proxies keep theirs. */
export const keepAliveTimeoutMs = 72_000;

/**
 * While the server shuts down, a connection on which nothing is under way stays open for so long: a request that was sent before
 * its client could know is still answered. Longer than most take to come, short enough for a restart to go unnoticed.
 */
export const closingGraceMs = 250;

/** On shutdown, what is in flight has this long to be finished. */
export const shutdownGraceMs = 10_000;

/** Longest user ID that can be asked about, in bytes. */
export const userIdBytesMax = 255;

/** Users whose rate is known; beyond it those that asked longest ago are forgotten, and so forgiven. About 100 bytes each. */
export const ratedUsersMax = 100_000;
