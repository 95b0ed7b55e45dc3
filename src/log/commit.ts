/**
 * The numbered log of commits: what is written by one, and followed by all who hold a part of the index.
 *
 * A commit is what becomes true together: changes, the names that they are the first to use, and how far sources have been
 * read. Numbers ascend by one, from 1, for ever: they survive restarts and compaction. So whoever has all up to a number goes
 * on from the next one.
 */
import type { Cursor } from './cursor.js';

/** A commit before it has its number. */
export interface Draft {
  /** As changes.ts lays them out, in order. */
  readonly changes: Uint32Array;
  /** Whether the changes are by ascending user and room, each pair once: then many of them are written faster. */
  readonly isSorted: boolean;
  /**
   * How many names there are once it is made (directory/name-counts.ts). Those beyond the commit before are new with this one:
   * all names that its changes use, and those that a replacement has numbered ahead of its changes.
   */
  readonly names: Uint32Array;
  /** How far sources have been read when the changes are made. */
  readonly cursors: readonly Cursor[];
}

/**
 * Takes commits from a number on: the shards together, one of them, and one that is loaded again. One contract suite
 * (test/contract/follower-contract.ts).
 */
export interface Follower {
  /** The first commit that it takes. It was loaded with those below, and passes them over. */
  readonly from: number;
  /**
   * Takes changes of a commit: all of them, or a part. Calls take effect in the order in which they are made: commits by
   * ascending number, none left out, the parts of each in their order.
   * @returns how many changed anything, when every later question sees them; 0 for what was passed over
   */
  follow(number: number, changes: Uint32Array): Promise<number>;
}
