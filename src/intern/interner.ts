/**
 * Strings -> u32 -> bytes, off the heap. A JS `Map` of names throws past 16.7 million entries, and what it
 * holds is the garbage collector's to walk.
 *
 * Invariant I1: a number names one string for ever, and a string has one number.
 * Cost: the name + 6 bytes + 10 to 20 for the table, 0.6 to 0.7 of what a Map takes (`npm run bench -- intern`); a look-up hashes the name and misses the cache about three times.
 */
import { checkName } from '../base/change.js';
import { systemRandom, type RandomBytes } from '../base/clock.js';
import { nobody, partitionCount, sequenceBits, type RoomNo, type UserNo } from '../base/ids.js';
import { assert } from '../base/assert.js';
import { NameEncoder } from './encoder.js';
import { halfSipHash } from './half-sip-hash.js';
import { HashTable } from './hash-table.js';
import { Names } from './names.js';

export class Interner<No extends number> {
  /** What other threads read the names through. */
  readonly names: Names;
  readonly #table: HashTable;
  readonly #encoder = new NameEncoder();
  readonly #laneOf: (encoder: NameEncoder) => number;
  readonly #key0: number;
  readonly #key1: number;

  constructor(names: Names, laneOf: (encoder: NameEncoder) => number, random: RandomBytes) {
    const key = random(8);
    this.#key0 = key.readInt32LE(0);
    this.#key1 = key.readInt32LE(4);
    this.names = names;
    this.#laneOf = laneOf;
    const encoder = this.#encoder;
    this.#table = new HashTable((number) => names.equals(number, encoder.bytes, encoder.length));
  }

  /** How many names there are. */
  get count(): number {
    return this.#table.count;
  }

  get bytes(): { names: number; table: number } {
    return { names: this.names.bytes, table: this.#table.bytes };
  }

  /** @returns the number of a name, or -1 when it has none; never gives one out */
  find(name: string): No | -1 {
    const encoder = this.#encoder;
    if (!encoder.encode(name)) return -1;
    const hash = halfSipHash(encoder.words, encoder.length, this.#key0, this.#key1);
    return this.#table.find(hash) as No | -1;
  }

  /**
   * @returns the number of a name, a new one when it has none
   * @throws PublicError INVALID for what is no name (base/change.ts), FULL when numbers or memory are used up
   */
  intern(name: string): No {
    const encoder = this.#encoder;
    if (!encoder.encode(name)) checkName('name', name);
    const hash = halfSipHash(encoder.words, encoder.length, this.#key0, this.#key1);
    const known = this.#table.find(hash);
    if (known !== -1) return known as No;
    checkName('name', name);
    const lane = this.#laneOf(encoder);
    const number = this.names.append(lane, encoder.bytes, encoder.length, encoder.needsEscape);
    this.#table.insert(hash, number);
    return number as No;
  }
}

/** Names of rooms: a lane for each partition, so that a number carries its partition. */
export function roomNames(): Names {
  return new Names(partitionCount, sequenceBits);
}

export function roomInterner(random: RandomBytes = systemRandom): Interner<RoomNo> {
  // The key is fixed: a room's partition must be the same after a restart, and on every machine.
  const partitionOfName = (encoder: NameEncoder): number =>
    halfSipHash(encoder.words, encoder.length, 0, 0) % partitionCount;
  return new Interner<RoomNo>(roomNames(), partitionOfName, random);
}

export function userInterner(random: RandomBytes = systemRandom): Interner<UserNo> {
  const names = new Names(1, 31);
  const none = names.append(0, new Uint8Array(0), 0, false);
  assert(none === nobody, 'the first number is nobody');
  return new Interner<UserNo>(names, () => 0, random);
}
