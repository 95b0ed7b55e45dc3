/** The bounds that the engine holds, whatever the configuration says, with what each trades. */

/** Most users that one `sharesMany` may name. */
export const othersPerQuestionMax = 10_000;

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

/**
 * Changes that are numbered and sent to the shards at once: about 0.2 ms of work, so that queries slip in between. With
 * 2,048 of them the slowest hundredth of queries waits for a millisecond.
 */
export const changesPerTaskMax = 256;

/** Users looked through for the members of a room in one step, so that questions slip in between. */
export const usersPerSearchStep = 65_536;

/** Users whose rooms are listed, or summed up by room, in one step: about a millisecond of a shard. */
export const usersPerListStep = 8_192;
