/**
 * Names in the store: blocks of `namesPerBlock` names of consecutive numbers, as `Names` has them in memory (encoder.ts),
 * one behind the other. A new name rewrites the last block of its lane.
 *
 * The writer keeps count of what is stored. Each commit says how many names there are with it, so what a failed commit
 * left out is new with the next one.
 */
import { sequenceBits } from '../base/ids.js';
import { nameBytesMax } from '../base/limits.js';
import { wordsOf } from '../directory/encoder.js';
import type { Names } from '../directory/names.js';
import { nameCountsLength, userCountAt, type NameCounts } from '../directory/name-counts.js';
import { namesPerBlock, roomBlockKey, userBlockKey } from './layout.js';
import type { Environment, Snapshot, Table } from './lmdb.js';

const nameCountsName = 'name_counts';

/** How many names of each kind are stored. */
export function readNameCounts(environment: Environment, snapshot?: Snapshot): NameCounts {
  const counts = new Uint32Array(nameCountsLength);
  const stored = environment.getBytes(nameCountsName, snapshot);
  // Copied, because what is stored need not begin at a whole word.
  if (stored !== undefined) new Uint8Array(counts.buffer).set(stored.subarray(0, counts.byteLength));
  return counts;
}

/** Only inside `Environment.write`. */
export function putNameCounts(environment: Environment, counts: NameCounts): void {
  environment.putBytes(nameCountsName, new Uint8Array(counts.slice().buffer));
}

export class NameBlocks {
  readonly #environment: Environment;
  readonly #users: Names;
  readonly #rooms: Names;
  readonly #block = new Uint32Array(namesPerBlock * wordsOf(nameBytesMax));
  #stored: NameCounts;

  constructor(environment: Environment, users: Names, rooms: Names) {
    this.#environment = environment;
    this.#users = users;
    this.#rooms = rooms;
    this.#stored = readNameCounts(environment);
  }

  /** Writes those that are new. Only inside `Environment.write`, and `stored` after it. @param counts how many there are by now */
  write(counts: NameCounts): void {
    const stored = this.#stored;
    if (counts.every((count, at) => count === stored[at])) return;
    this.#users.renew();
    this.#rooms.renew();
    const { userNames, roomNames } = this.#environment;
    // Users begin at 1: the n-th has the number n.
    this.#writeLane(userNames, this.#users, 1, stored[userCountAt], counts[userCountAt], userBlockKey);
    for (let lane = 0; lane < userCountAt; lane += 1) {
      if (counts[lane] > stored[lane]) {
        this.#writeLane(
          roomNames,
          this.#rooms,
          lane * 2 ** sequenceBits,
          stored[lane],
          counts[lane],
          (block) => roomBlockKey(lane, block),
        );
      }
    }
    putNameCounts(this.#environment, counts);
  }

  /** What `write` was given is on the disk. */
  stored(counts: NameCounts): void {
    this.#stored = counts;
  }

  #writeLane(
    table: Table<number>,
    names: Names,
    first: number,
    stored: number,
    count: number,
    keyOf: (block: number) => number,
  ): void {
    for (let block = Math.floor(stored / namesPerBlock); block * namesPerBlock < count; block += 1) {
      const end = Math.min(count, (block + 1) * namesPerBlock);
      let at = 0;
      for (let index = block * namesPerBlock; index < end; index += 1)
        at = names.copyTo(first + index, this.#block, at);
      table.put(keyOf(block), new Uint8Array(this.#block.buffer, 0, at * 4));
    }
  }
}
