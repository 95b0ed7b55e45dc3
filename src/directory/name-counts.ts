/**
 * How many names there are of each kind: one array for both, since they are committed together. The rooms of a partition are
 * counted at its number, the users behind all of them.
 *
 * Numbers are given out in order, so the names that a commit is the first to use are those between the counts of the commit
 * before and its own.
 */
import { partitionCount } from '../base/ids.js';

export type NameCounts = Uint32Array;

/** Where the users are counted. Nobody (base/ids.ts) is not. */
export const userCountAt = partitionCount;
export const nameCountsLength = partitionCount + 1;
