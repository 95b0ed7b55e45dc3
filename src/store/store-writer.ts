/**
 * What writes the store, in the order of its calls: commits of batches, and the folding of what was committed into the
 * room sets. Synchronous: it runs in a thread of its own (writer-thread.ts), and in whatever has the store for itself.
 *
 * A commit writes its changes under its number into the table `recent`, the tail of the log: a few pages, whatever the number
 * of users.
 * Writing a room set means writing a page of four kilobytes, and random users have a page each: on the disk of
 * native-notes.md that is 65,000 changes a second, and every small writer waits behind a large one. So changes are
 * collected in generations of `recentChangesMax` (StoreLimits) and folded in by ascending user, when several fall on a page.
 *
 * Invariant: the records, and then all of `recent` in order, are what was committed. Folding a change twice equals once,
 * because it says what holds; so a fold that was broken off begins anew. What was folded is removed from `recent` oldest
 * first: what is left of a generation still ends in what holds.
 *
 * Each transaction makes sure that the store has not been opened by somebody else meanwhile (owner.ts).
 */
import { PublicError } from '../base/errors.js';
import type { Names } from '../directory/names.js';
import { userCountAt } from '../directory/name-counts.js';
import { changeCount, wordAt, userAt, wordsPerChange } from '../log/changes.js';
import type { Draft } from '../log/commit.js';
import { cursorKey, type StoredCounts } from './layout.js';
import type { Environment } from './lmdb.js';
import { NameBlocks, readNameCounts } from './name-blocks.js';
import { checkOwner } from './owner.js';
import { lastCommit, readRecent } from './read-recent.js';
import { RecentChanges, type SortedChanges } from './recent-changes.js';
import { RoomSetRecords } from './room-set-records.js';

/** What a store may take. */
export interface StoreLimits {
  /** A file of this size takes no further commit. */
  readonly bytesMax: number;
  /** So many changes are collected before they are folded into the room sets: 16 bytes of memory each. */
  readonly recentChangesMax: number;
}

/** Of single changes, so many commits make a generation: each is removed by itself when it has been folded. */
const commitsShare = 1 / 16;

/**
 * So much more is folded than comes in, in changes or in commits, whichever fills a generation sooner: one is folded before
 * the next one is full. At twice as much, long lists came to a third of their rate while a million changes were folded.
 */
const foldingPace = 1.25;

/** Changes, with the numbers of the commits that brought them. */
class Generation {
  readonly changes: RecentChanges;
  firstCommit: number;
  commitsEnd: number;

  constructor(userCount: number, firstCommit: number) {
    this.changes = new RecentChanges(userCount);
    this.firstCommit = firstCommit;
    this.commitsEnd = firstCommit;
  }

  get commits(): number {
    return this.commitsEnd - this.firstCommit;
  }
}

/** Where folding has come to. */
interface Position {
  bucket: number;
  /** Of the bucket's sorted changes. */
  at: number;
  /** Commits that have been removed. */
  removed: number;
}

export class StoreWriter {
  readonly #environment: Environment;
  readonly #instance: string;
  readonly #limits: StoreLimits;
  readonly #names: NameBlocks;
  readonly #records: RoomSetRecords;
  #counts: StoredCounts;
  #userCount: number;
  #last: number;
  #collected: Generation;
  /** What is being folded, and how far it has come. */
  #folding: Generation | undefined;
  #position: Position = { bucket: 0, at: 0, removed: 0 };
  #sorted: SortedChanges | undefined;
  /** Of what is folded, what the commits so far ask for. */
  #debt = 0;

  /**
   * @param users names in the memory that the numbers of the commits are of
   * @param instance of the owner (owner.ts)
   */
  constructor(environment: Environment, users: Names, rooms: Names, instance: string, limits: StoreLimits) {
    this.#environment = environment;
    this.#instance = instance;
    this.#limits = limits;
    this.#names = new NameBlocks(environment, users, rooms);
    this.#records = new RoomSetRecords(environment);
    this.#counts = environment.getMeta('counts') ?? { memberships: 0, users: 0 };
    this.#userCount = readNameCounts(environment)[userCountAt];
    this.#last = lastCommit(environment);
    this.#collected = this.#readRecent();
  }

  /** The number of the last commit; 0 when there was none yet. */
  get last(): number {
    return this.#last;
  }

  /** @returns its number. @throws PublicError FULL, UNAVAILABLE, and what the disk answers; nothing is written then */
  commit({ changes, isSorted, names, cursors }: Draft): number {
    const { bytes } = this.#environment;
    const { bytesMax } = this.#limits;
    if (bytes >= bytesMax) {
      throw new PublicError(
        'FULL',
        `the store has reached store.bytes_max (${bytes} of ${bytesMax} bytes): raise it, or run "mutual-rooms compact"`,
      );
    }
    const { recent } = this.#environment;
    const number = this.#last + 1;
    // Several users fall on a page when they come in order, and nothing older is left to be folded after these.
    const isFolded =
      isSorted && changes.length > 0 && this.#folding === undefined && this.#collected.changes.count === 0;
    this.#write(() => {
      this.#names.write(names);
      if (isFolded) {
        this.#foldSorted(changes);
        // Those that are there have no change.
        for (let earlier = this.#collected.firstCommit; earlier < number; earlier += 1)
          recent.remove(earlier);
        this.#environment.putMeta('log', { first: number + 1 });
      } else recent.put(number, new Uint8Array(changes.buffer, changes.byteOffset, changes.byteLength));
      for (const { source, value } of cursors) this.#environment.putBytes(cursorKey(source), value);
    });
    this.#last = number;
    this.#names.stored(names);
    this.#userCount = names[userCountAt];
    if (isFolded) {
      this.#addCounts();
      this.#collected = new Generation(this.#userCount, number + 1);
      return number;
    }
    this.#collected.changes.add(changes);
    this.#collected.commitsEnd = number + 1;
    this.#beginFolding();
    if (this.#folding !== undefined)
      this.#debt += Math.ceil(foldingPace * (changeCount(changes) + 1 / commitsShare));
    return number;
  }

  /** Changes that are to be folded before the next large commit. */
  get debt(): number {
    return this.#folding === undefined ? 0 : this.#debt;
  }

  /** Folds about so many changes, in one transaction. @throws what the disk answers; nothing is folded then */
  fold(changesMax: number): void {
    const generation = this.#folding;
    if (generation === undefined) return;
    const before = { ...this.#position };
    let folded = 0;
    try {
      this.#write(() => {
        folded = this.#foldChanges(generation.changes, changesMax);
        folded += this.#removeFolded(generation, changesMax - folded);
        this.#environment.putMeta('counts', this.#nextCounts());
      });
    } catch (error) {
      this.#position = before;
      this.#sorted = undefined;
      throw error;
    }
    this.#addCounts();
    for (let bucket = before.bucket; bucket < this.#position.bucket; bucket += 1)
      generation.changes.drop(bucket);
    this.#debt = Math.max(0, this.#debt - folded);
    if (this.#position.removed < generation.commits) return;
    this.#folding = undefined;
    this.#debt = 0;
    this.#beginFolding();
  }

  #foldSorted(changes: Uint32Array): void {
    const words = new Uint32Array(changeCount(changes));
    for (let index = 0; index < words.length; index += 1)
      words[index] = wordAt(changes, index * wordsPerChange);
    for (let from = 0; from < words.length;) {
      const user = userAt(changes, from * wordsPerChange);
      let end = from + 1;
      while (end < words.length && userAt(changes, end * wordsPerChange) === user) end += 1;
      this.#records.fold(user, words, from, end);
      from = end;
    }
    this.#environment.putMeta('counts', this.#nextCounts());
  }

  /** What is there once the transaction has ended. */
  #nextCounts(): StoredCounts {
    return {
      memberships: this.#counts.memberships + this.#records.memberships,
      users: this.#counts.users + this.#records.users,
    };
  }

  #addCounts(): void {
    this.#counts = this.#nextCounts();
  }

  #write(change: () => void): void {
    this.#records.clear();
    this.#environment.write(() => {
      checkOwner(this.#environment, this.#instance);
      change();
    });
  }

  /** What an earlier process left unfolded. */
  #readRecent(): Generation {
    let generation: Generation | undefined;
    for (const { number, changes } of readRecent(this.#environment)) {
      generation ??= new Generation(this.#userCount, number);
      generation.changes.add(changes);
      generation.commitsEnd = number + 1;
    }
    return generation ?? new Generation(this.#userCount, this.#last + 1);
  }

  #beginFolding(): void {
    const { changes, commits } = this.#collected;
    if (this.#folding !== undefined) return;
    const { recentChangesMax } = this.#limits;
    if (changes.count >= recentChangesMax || commits >= recentChangesMax * commitsShare)
      this.#foldCollected();
  }

  #foldCollected(): void {
    this.#folding = this.#collected;
    this.#collected = new Generation(this.#userCount, this.#folding.commitsEnd);
    this.#position = { bucket: 0, at: 0, removed: 0 };
    this.#sorted = undefined;
  }

  /** @returns how many were folded */
  #foldChanges(changes: RecentChanges, changesMax: number): number {
    const position = this.#position;
    let folded = 0;
    while (position.bucket < changes.bucketCount && folded < changesMax) {
      this.#sorted ??= changes.sorted(position.bucket);
      const { users, words } = this.#sorted;
      while (position.at < users.length && folded < changesMax) {
        let end = position.at + 1;
        while (end < users.length && users[end] === users[position.at]) end += 1;
        this.#records.fold(users[position.at], words, position.at, end);
        folded += end - position.at;
        position.at = end;
      }
      if (position.at < users.length) break;
      // Changes that a later one made void cost nothing more, but they were asked for.
      folded += changes.countIn(position.bucket) - users.length;
      position.bucket += 1;
      position.at = 0;
      this.#sorted = undefined;
    }
    return folded;
  }

  /** Once all is folded: removes the commits, oldest first. @returns how many */
  #removeFolded({ changes, firstCommit, commits }: Generation, commitsMax: number): number {
    const position = this.#position;
    if (position.bucket < changes.bucketCount) return 0;
    let removed = 0;
    while (position.removed < commits && removed < commitsMax) {
      this.#environment.recent.remove(firstCommit + position.removed);
      position.removed += 1;
      removed += 1;
    }
    if (removed > 0) this.#environment.putMeta('log', { first: firstCommit + position.removed });
    return removed;
  }
}
