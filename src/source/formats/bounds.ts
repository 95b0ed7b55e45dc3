/** What is read of a stream of memberships at once, and what each bound trades. */

/** One line of NDJSON, or one element of a msgpack array. Two IDs of `nameBytesMax`, each byte escaped as \uXXXX, and the rest. */
export const changeBytesMax = 16 * 1024;

/** Most items in a batch. A batch also ends with each piece of the stream, so that a slow stream is not held back. */
export const itemsPerBatchMax = 1000;

/**
 * Lists and maps within one element of msgpack, so that decoding, which goes into each of them, stays off the end of the stack:
 * a RangeError from there takes milliseconds.
 */
export const listsPerElementMax = 1000;
