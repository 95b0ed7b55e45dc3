/** The bounds of shards, with what each trades. */

/** Records of a store read in one step of a start: about a millisecond. */
export const recordsPerStep = 4096;

/** How often a start tells how far it has come. */
export const progressIntervalMs = 100;
