/**
 * The way of every change into the index, whatever its source: number the names, commit, have it followed, acknowledge.
 *
 * One commit is under way at a time; what comes meanwhile goes together in the next one, so many small writers share a
 * wait for the disk. Short lists go first, with one long list: nobody who changes a single membership waits for all who
 * import. So calls that are under way at the same time have no order; who needs one awaits each call.
 *
 * Promise: when `apply` resolves, every later question sees the changes, and they are safe. When it rejects, none of the
 * list is applied, unless the error says that the answer was lost: applying it again does no harm.
 *
 * A caller that awaits each batch has backpressure; beyond `ingestWaitingMax` waiting batches further ones are refused.
 */
import { systemClock, type Clock } from '../base/clock.js';
import type { Change } from '../base/change.js';
import { PublicError } from '../base/errors.js';
import { changesPerCommitMax, foldingDebtMax, ingestWaitingMax, shortListMax } from './bounds.js';
import { changesPerFoldMin } from '../store/bounds.js';
import type { Engine } from '../engine/engine.js';
import { numberChanges } from '../engine/numbering.js';
import type { Applied } from '../engine/questions.js';
import { changeCount, concatChanges } from '../log/changes.js';
import type { Cursor } from '../log/cursor.js';
import type { Store } from '../store/store.js';

/** Watches commits, for metrics and the log. */
export interface IngestObserver {
  /** A commit of so many changes took so long, until it was safe. */
  committed(changes: number, seconds: number): void;
  /** Nothing of a commit was kept. */
  commitFailed(error: unknown): void;
}

export interface IngestOptions {
  readonly observer?: IngestObserver;
  readonly clock?: Clock;
}

/** Changes whose names have numbers already. */
export interface NumberedChanges {
  /** As log/changes.ts lays them out. */
  readonly words: Uint32Array;
  /** Whether they are by ascending user and room, each pair once. */
  readonly isSorted: boolean;
  /** Whether questions see all of them or none (engine/shards.ts). */
  readonly isAtOnce: boolean;
}

interface Waiting {
  readonly count: number;
  readonly isSorted: boolean;
  readonly isAtOnce: boolean;
  /** Whether it is committed even without a change: for its cursor, or the names that have got numbers for later changes. */
  readonly isNeeded: boolean;
  /** @throws PublicError INVALID for an ID that is none, FULL */
  readonly number: () => Promise<Uint32Array> | Uint32Array;
  readonly cursor: Cursor | undefined;
  readonly resolve: (applied: Applied) => void;
  readonly reject: (error: unknown) => void;
}

/** A list with numbers in place of names. */
interface Numbered {
  readonly waiting: Waiting;
  readonly words: Uint32Array;
}

export class Ingest {
  readonly #engine: Engine;
  readonly #store: Store;
  /** Lists that are not being committed yet, by their length. */
  readonly #short: Waiting[] = [];
  readonly #long: Waiting[] = [];
  /** All lists that are not acknowledged yet. */
  #underWay = 0;
  #isWorking = false;
  readonly #observer: IngestObserver | undefined;
  readonly #clock: Clock;

  constructor(engine: Engine, store: Store, { observer, clock = systemClock }: IngestOptions = {}) {
    this.#engine = engine;
    this.#store = store;
    this.#observer = observer;
    this.#clock = clock;
  }

  /**
   * States memberships. They are committed together or not at all, with the cursor.
   * @param cursor how far a source has been read when these changes are made
   * @returns when every later question sees the changes
   * @throws PublicError INVALID for an ID that is none, OVERLOADED, UNAVAILABLE, FULL
   */
  async apply(changes: readonly Change[], cursor?: Cursor): Promise<Applied> {
    const list = changes.slice();
    return this.#enqueue({
      count: list.length,
      isSorted: false,
      isAtOnce: false,
      isNeeded: cursor !== undefined,
      number: () => numberChanges(this.#engine.directory, list),
      cursor,
    });
  }

  /** The same for changes whose names have numbers. With none, it commits the names that have got numbers for changes to come. */
  async applyNumbered({ words, isSorted, isAtOnce }: NumberedChanges, cursor?: Cursor): Promise<Applied> {
    return this.#enqueue({
      count: changeCount(words),
      isSorted,
      isAtOnce,
      isNeeded: true,
      number: () => words,
      cursor,
    });
  }

  async #enqueue(list: Omit<Waiting, 'resolve' | 'reject'>): Promise<Applied> {
    if (this.#underWay >= ingestWaitingMax) {
      throw new PublicError(
        'OVERLOADED',
        `${ingestWaitingMax} batches wait to be applied; send it again later`,
        { retryAfterSeconds: 1 },
      );
    }
    this.#underWay += 1;
    try {
      return await new Promise((resolve, reject) => {
        const queue = list.count <= shortListMax ? this.#short : this.#long;
        queue.push({ ...list, resolve, reject });
        void this.#work();
      });
    } finally {
      this.#underWay -= 1;
    }
  }

  async #work(): Promise<void> {
    if (this.#isWorking) return;
    this.#isWorking = true;
    try {
      while (this.#short.length + this.#long.length > 0 || this.#store.debt > 0) {
        const lists = this.#store.debt > foldingDebtMax ? [] : this.#nextLists();
        if (lists.length > 0) await this.#commit(lists);
        // What was put off is done while nobody waits, and for a long list that waits for it: then in turn with short ones,
        // or a stream of those would keep it waiting for ever.
        const isDue = lists.length === 0 || (this.#long.length > 0 && this.#store.debt >= changesPerFoldMin);
        if (isDue && !(await this.#settle())) break;
      }
    } finally {
      this.#isWorking = false;
    }
  }

  #nextLists(): Waiting[] {
    const lists = this.#short.splice(0);
    /** Of long lists: however many short ones there are, the first long one goes with them. */
    let count = 0;
    while (this.#long.length > 0 && this.#store.debt < changesPerFoldMin) {
      if (count > 0 && count + this.#long[0].count > changesPerCommitMax) break;
      count += this.#long[0].count;
      lists.push(...this.#long.splice(0, 1));
    }
    return lists;
  }

  /** @returns whether to go on: not when it failed and nobody waits */
  async #settle(): Promise<boolean> {
    try {
      await this.#store.settle();
      return true;
    } catch (error) {
      // The disk is the matter, and it would be the same for the list that waits.
      const waiting = this.#long.shift() ?? this.#short.shift();
      waiting?.reject(error);
      return waiting !== undefined;
    }
  }

  async #commit(lists: readonly Waiting[]): Promise<void> {
    const { failure } = this.#store;
    if (failure !== undefined) {
      // Before names get numbers, which take memory for as long as the process lives.
      for (const { reject } of lists)
        reject(new PublicError('UNAVAILABLE', failure, { retryAfterSeconds: 30 }));
      return;
    }
    const numbered = await numberAll(lists);
    if (numbered.every(({ waiting, words }) => words.length === 0 && !waiting.isNeeded)) {
      for (const { waiting } of numbered) waiting.resolve({ applied: 0, ignored: waiting.count });
      return;
    }
    let number: number;
    try {
      number = await this.#append(numbered);
    } catch (error) {
      this.#observer?.commitFailed(error);
      for (const { waiting } of numbered) waiting.reject(error);
      return;
    }
    // They take effect in this order; the next commit need not wait for it.
    for (const { waiting, words } of numbered) {
      this.#engine.shards.follow(number, words, waiting.isAtOnce).then((applied) => {
        waiting.resolve({ applied, ignored: waiting.count - applied });
      }, waiting.reject);
    }
  }

  /** Writes one commit. @returns its number */
  async #append(numbered: readonly Numbered[]): Promise<number> {
    const startedAtMs = this.#clock.monotonicMs();
    const changes = concatChanges(numbered.map(({ words }) => words));
    const number = await this.#store.commit({
      changes,
      isSorted: numbered.length === 1 && numbered[0].waiting.isSorted,
      names: this.#engine.directory.counts(),
      cursors: numbered.flatMap(({ waiting }) => waiting.cursor ?? []),
    });
    this.#observer?.committed(changeCount(changes), (this.#clock.monotonicMs() - startedAtMs) / 1000);
    return number;
  }
}

/** Lists whose names cannot be numbered are refused, and left out. */
async function numberAll(lists: readonly Waiting[]): Promise<Numbered[]> {
  const numbered: Numbered[] = [];
  for (const waiting of lists) {
    try {
      numbered.push({ waiting, words: await waiting.number() });
    } catch (error) {
      waiting.reject(error);
    }
  }
  return numbered;
}
