/**
 * Replaces all memberships: they are gathered in a shadow of the engine, and then what differs is committed and applied, in
 * the order of users. The numbering stays, so page tokens live on.
 *
 * Promise: until `finish` nothing has changed. A difference of up to `changesAtOnceMax` is one commit, and questions see it whole
 * (but those that are under way at that moment). A larger one is several; while they are made, answers are of both states, and
 * the cursor says `unfinished`: a process that dies then knows that it has part of both.
 * Cost: as much memory as memberships take, until it is closed.
 */
import type { Change } from '../base/change.js';
import { changesAtOnceMax, changesPerReplacementCommit, joinsPerNamesCommit } from './bounds.js';
import type { Engine } from '../engine/engine.js';
import { numberChanges } from '../engine/numbering.js';
import type { Shadow } from '../engine/shadow.js';
import type { Replaced, Replacement } from '../source/destination.js';
import { changeCount, joinCount, wordsPerChange } from '../log/changes.js';
import { WordList } from '../log/word-list.js';
import type { Ingest } from './ingest.js';

/** What bounds.ts says of each. */
export interface ReplacementBounds {
  readonly changesAtOnceMax: number;
  readonly changesPerReplacementCommit: number;
  readonly joinsPerNamesCommit: number;
}

const nothing = { words: new Uint32Array(0), isSorted: true, isAtOnce: false };

export class ShadowReplacement implements Replacement {
  readonly #source: string;
  readonly #engine: Engine;
  readonly #ingest: Ingest;
  readonly #shadow: Shadow;
  readonly #bounds: ReplacementBounds;
  /** Joins whose names are not stored yet. */
  #unstored = 0;
  /** The last ones, which may be under way still. */
  #applying: Promise<unknown> = Promise.resolve();

  static async begin(
    source: string,
    engine: Engine,
    ingest: Ingest,
    bounds: ReplacementBounds = { changesAtOnceMax, changesPerReplacementCommit, joinsPerNamesCommit },
  ): Promise<ShadowReplacement> {
    return new ShadowReplacement(source, engine, ingest, await engine.shards.openShadow(), bounds);
  }

  private constructor(
    source: string,
    engine: Engine,
    ingest: Ingest,
    shadow: Shadow,
    bounds: ReplacementBounds,
  ) {
    this.#bounds = bounds;
    this.#source = source;
    this.#engine = engine;
    this.#ingest = ingest;
    this.#shadow = shadow;
  }

  async add(joins: readonly Change[]): Promise<void> {
    const words = await numberChanges(this.#engine.directory, joins);
    // While those before travel to the shadow, these got their numbers.
    await this.#applying;
    this.#applying = this.#shadow.apply(words);
    // Whoever awaits it hears of it.
    this.#applying.catch(() => undefined);
    this.#unstored += joins.length;
    if (this.#unstored < this.#bounds.joinsPerNamesCommit) return;
    this.#unstored = 0;
    // Or all names would be in the transaction of the first change.
    await this.#ingest.applyNumbered(nothing);
  }

  async finish(cursors: {
    readonly unfinished: Uint8Array;
    readonly finished: Uint8Array;
  }): Promise<Replaced> {
    await this.#applying;
    const cursorOf = (value: Uint8Array): { source: string; value: Uint8Array } => ({
      source: this.#source,
      value,
    });
    const { changesAtOnceMax: atOnce, changesPerReplacementCommit: perPart } = this.#bounds;
    let waiting = new WordList();
    let isUnfinished = false;
    let changed = 0;
    let joined = 0;
    /** The last commit, which may be under way while the next changes are looked for. */
    let committing: Promise<unknown> = Promise.resolve();
    const flush = async (finished?: Uint8Array): Promise<void> => {
      const words = waiting.take();
      waiting = new WordList();
      await committing;
      committing = this.#ingest.applyNumbered(
        { words, isSorted: true, isAtOnce: !isUnfinished },
        finished === undefined ? undefined : cursorOf(finished),
      );
      // Whoever awaits it hears of it.
      committing.catch(() => undefined);
    };
    const { directory, shards } = this.#engine;
    for await (const changes of this.#shadow.differences(shards, directory.usersEnd)) {
      joined += joinCount(changes);
      changed += changeCount(changes);
      waiting.pushAll(changes);
      if (waiting.length / wordsPerChange < (isUnfinished ? perPart : atOnce)) continue;
      if (!isUnfinished) await this.#ingest.applyNumbered(nothing, cursorOf(cursors.unfinished));
      isUnfinished = true;
      await flush();
    }
    await flush(cursors.finished);
    await committing;
    return { joined, left: changed - joined };
  }

  async close(): Promise<void> {
    await this.#shadow.close();
  }
}
