/**
 * Where the index is kept beyond the process: names, memberships, how far sources have been read, and what page tokens
 * hang on. It is the log in its embedded form: it gives commits their numbers. Two implementations, one contract suite:
 * `LmdbStore` on disk, `MemoryStore` for those who keep nothing. The ingest is the only caller of `commit`; the service opens
 * and closes.
 *
 * Promise: what `commit` resolved for is there after a crash, whole. What it rejected is not there, nor any part of it,
 * unless it was the answer that was lost: then the same changes may be committed again, which does no harm.
 */
import type { Directory } from '../directory/directory.js';
import type { Draft } from '../log/commit.js';
import type { StoredState } from './load.js';

/** What page tokens hang on: they open as long as these are the same. */
export interface Identity {
  /** 32 bytes. */
  readonly tokenKey: Buffer;
  /** Of the numbering. */
  readonly epoch: number;
  /** Numberings that ended not long ago, oldest first: how a RoomNo of each is found in the next one. */
  readonly earlier: readonly EarlierEpoch[];
}

export interface EarlierEpoch {
  readonly epoch: number;
  /** Where a page that began at `start` begins in the epoch after this one. */
  translate(start: number): number;
}

/** Work that has been done of all that there is, in any unit. */
export type Progress = (done: number, total: number) => void;

export interface Store {
  readonly identity: Identity;
  /** The file that shards load their memberships from; undefined where there is none. */
  readonly path: string | undefined;
  /** What that file is, as long as it is this store's. */
  readonly state: StoredState | undefined;
  /** Why nothing can be committed any more, or undefined. */
  readonly failure: string | undefined;
  /** Who has taken the store over, or that it is gone, while that is so: what is answered here grows old. */
  readonly lostTo: string | undefined;
  /** Of the file, or what it would be; 0 where there is none. */
  readonly bytes: number;
  /** How far a source was read at the last commit that said so. */
  cursor(source: string): Uint8Array | undefined;
  /** The number of the last commit, once the names are read; 0 before the first one. */
  readonly last: number;
  /** Gives the directory, which is empty, all names under their numbers; commits take new names from it. Lets other work in between. */
  restoreNames(directory: Directory, onProgress: Progress): Promise<void>;
  /**
   * Resolves when it is safe. One at a time: the caller waits for the one before.
   * @returns its number: one above the last one
   * @throws PublicError FULL, UNAVAILABLE: nothing of it is kept
   */
  commit(draft: Draft): Promise<number>;
  /** Work that was put off, in changes: `settle` before a large commit while there is some. */
  readonly debt: number;
  /** Does a part of that work, about two milliseconds. Not while a commit is under way. */
  settle(): Promise<void>;
  close(): Promise<void>;
}
