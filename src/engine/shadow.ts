/**
 * A second set of memberships under the numbers of an engine, which answers meanwhile as before. It is filled with what is to
 * hold; then it tells what differs, and is closed.
 *
 * Cost: as much memory as memberships take, and as many threads as the engine has shards, until it is closed.
 */
import { setImmediate } from 'node:timers/promises';
import { changesPerTaskMax, usersPerListStep } from './bounds.js';
import type { Shard } from '../shard/shard.js';
import type { ShardMap } from './shard-map.js';
import { listDifference, mergedLists } from './user-lists.js';

/** What a shadow is compared with. */
interface Live {
  /** Who is where, of some users (engine/shards.ts). */
  list(first: number, end: number): Promise<Uint32Array>;
}

export class Shadow {
  readonly #shards: readonly Shard[];
  readonly #map: ShardMap;
  readonly #isInline: boolean;

  /** @param isInline whether the shards are on this thread, which must not be held for long */
  constructor(shards: readonly Shard[], map: ShardMap, isInline: boolean) {
    this.#shards = shards;
    this.#map = map;
    this.#isInline = isInline;
  }

  /** @param changes as log/changes.ts lays them out */
  async apply(changes: Uint32Array): Promise<void> {
    // Nobody asks these shards anything, so their threads may be held; this one may not.
    const step = this.#isInline ? changesPerTaskMax * 2 : changes.length;
    for (let at = 0; at < changes.length; at += step) {
      if (at > 0) await setImmediate();
      const parts = this.#map.split(changes.slice(at, at + step));
      // All that it is filled with is its first commit.
      await Promise.all(parts.map((part, shard) => this.#shards[shard].follow(1, part)));
    }
  }

  /**
   * What must be changed in the engine to make it this, by ascending user and room.
   * @param live what answers meanwhile
   * @param usersEnd one past the last user of both
   */
  async *differences(live: Live, usersEnd: number): AsyncGenerator<Uint32Array> {
    for (let first = 0; first < usersEnd; first += usersPerListStep) {
      const end = first + usersPerListStep;
      const [before, ...after] = await Promise.all([
        live.list(first, end),
        ...this.#shards.map((shard) => shard.list(first, end)),
      ]);
      const changes = listDifference(before, mergedLists(after));
      if (changes.length > 0) yield changes;
      await setImmediate();
    }
  }

  async close(): Promise<void> {
    await Promise.all(this.#shards.map((shard) => shard.close()));
  }
}
