/**
 * Strings -> u32 -> bytes, off the heap. A JS `Map` of names throws past 16.7 million entries, and what it
 * holds is the garbage collector's to walk.
 *
 * Many names are looked up together where there are many: first all hashes, then all slots, then all names. A look-up
 * misses the cache three times, each time waiting for the one before; those of different names wait side by side.
 *
 * Invariant I1: a number names one string for ever, and a string has one number.
 * Cost: the name + 8 bytes + 10 to 20 for the table, 0.7 to 0.9 of what a Map takes (`npm run bench -- intern`).
 */
import { checkName } from '../base/change.js';
import { systemRandom, type RandomBytes } from '../base/clock.js';
import { nameBytesMax } from '../base/limits.js';
import { nobody, partitionCount, sequenceBits, userBits, type RoomNo, type UserNo } from '../base/ids.js';
import { assert } from '../base/assert.js';
import { NameEncoder, headerBytes, wordsOf } from './encoder.js';
import { halfSipHash } from './half-sip-hash.js';
import { HashTable, TableReader, type TableSubscription } from './hash-table.js';
import { Names, escapeFlag, lengthMask, type NamesSubscription } from './names.js';

/** What `findMany` says of a name that has no number: above every number. */
export const unknown = 0xffffffff;

/** Names looked up side by side: more than a core can wait for at once gains nothing. */
const namesTogether = 32;

/** The lane of the name that lies in the words from `start` on, as `NameEncoder` left it there. */
type LaneOf = (words: Uint32Array, start: number, byteLength: number) => number;

/** What a reader in another thread begins with: `InternerReader` takes it. */
export interface InternerSubscription {
  readonly names: NamesSubscription;
  readonly table: TableSubscription;
  /** Of the hash. */
  readonly key0: number;
  readonly key1: number;
}

export class Interner<No extends number> {
  /** What other threads read the names through. */
  readonly names: Names;
  readonly #field: string;
  readonly #table: HashTable;
  readonly #encoder = new NameEncoder();
  readonly #laneOf: LaneOf;
  readonly #key0: number;
  readonly #key1: number;
  /** The name that the table compares with: the words it is in, where it begins there, and its bytes. */
  #askedWords: Uint32Array;
  #askedStart = 0;
  #askedLength = 0;
  readonly #starts = new Uint32Array(namesTogether);
  readonly #lengths = new Uint32Array(namesTogether);
  readonly #hashes = new Uint32Array(namesTogether);
  readonly #firstSlots = new Uint32Array(namesTogether);
  readonly #candidates = new Int32Array(namesTogether);
  readonly #positions = new Uint32Array(namesTogether);

  /** @param field what errors call a name that is none */
  constructor(names: Names, field: string, laneOf: LaneOf, random: RandomBytes) {
    const key = random(8);
    this.#key0 = key.readInt32LE(0);
    this.#key1 = key.readInt32LE(4);
    this.names = names;
    this.#field = field;
    this.#laneOf = laneOf;
    this.#askedWords = this.#encoder.words;
    this.#table = new HashTable((number) =>
      names.equalsAt(names.position(number), this.#askedWords, this.#askedStart, this.#askedLength),
    );
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
    return encoder.encode(name) ? this.#findHashed(this.#hash(0), 0, encoder.byteLength) : -1;
  }

  /** Looks many names up. @param target one number for each, or `unknown`; the same name twice in a row costs once */
  findMany(names: readonly string[], target: Uint32Array): void {
    const encoder = this.#encoder;
    const { words } = encoder;
    let from = 0;
    while (from < names.length) {
      let count = 0;
      let at = 0;
      while (count < namesTogether && from + count < names.length && encoder.hasSpaceAt(at)) {
        const name = names[from + count];
        const known = count > 0 && name === names[from + count - 1];
        if (known) {
          this.#lengths[count] = this.#lengths[count - 1];
          this.#starts[count] = this.#starts[count - 1];
          this.#hashes[count] = this.#hashes[count - 1];
        } else if (encoder.encode(name, at)) {
          this.#starts[count] = at;
          this.#lengths[count] = encoder.byteLength;
          this.#hashes[count] = this.#hash(at);
          // One more, for the word of zeroes behind a name that fills its last one.
          at += wordsOf(encoder.byteLength) + 1;
        } else {
          // No name is empty: the candidate of this hash, if there is one, will not be equal.
          words[at] = 0;
          this.#starts[count] = at;
          this.#lengths[count] = 0;
          this.#hashes[count] = 0;
          at += 1;
        }
        count += 1;
      }
      this.#findTogether(count, target, from);
      from += count;
    }
  }

  #findTogether(count: number, target: Uint32Array, to: number): void {
    const { words } = this.#encoder;
    const { names } = this;
    // Where probing goes on depends on what is in the slot: that decision must not wait for memory.
    for (let index = 0; index < count; index += 1)
      this.#firstSlots[index] = this.#table.firstSlot(this.#hashes[index]);
    for (let index = 0; index < count; index += 1)
      this.#candidates[index] =
        this.#firstSlots[index] === 0 ? -1 : this.#table.candidate(this.#hashes[index]);
    for (let index = 0; index < count; index += 1) {
      if (this.#candidates[index] !== -1) this.#positions[index] = names.position(this.#candidates[index]);
    }
    for (let index = 0; index < count; index += 1) {
      const candidate = this.#candidates[index];
      if (candidate === -1) target[to + index] = unknown;
      else if (names.equalsAt(this.#positions[index], words, this.#starts[index], this.#lengths[index])) {
        target[to + index] = candidate;
      } else {
        // Another name has the same 32 bits of hash and came first: one in a thousand, among ten million names.
        const number = this.#findHashed(this.#hashes[index], this.#starts[index], this.#lengths[index]);
        target[to + index] = number === -1 ? unknown : number;
      }
    }
  }

  /**
   * @returns the number of a name, a new one when it has none
   * @throws PublicError INVALID for what is no name (base/change.ts), FULL when numbers or memory are used up
   */
  intern(name: string): No {
    const encoder = this.#encoder;
    if (!encoder.encode(name)) checkName(this.#field, name);
    const hash = this.#hash(0);
    const known = this.#findHashed(hash, 0, encoder.byteLength);
    if (known !== -1) return known;
    checkName(this.#field, name);
    const lane = this.#laneOf(encoder.words, 0, encoder.byteLength);
    const needsEscape = JSON.stringify(name).length !== name.length + 2;
    const number = this.names.append(lane, encoder.words, encoder.byteLength, needsEscape);
    this.#table.insert(hash, number);
    return number as No;
  }

  /** What an `InternerReader` in another thread begins with. */
  subscribe(): InternerSubscription {
    return {
      names: this.names.subscribe(),
      table: this.#table.subscribe(),
      key0: this.#key0,
      key1: this.#key1,
    };
  }

  /** Makes place for so many names in an empty interner. */
  reserve(count: number): void {
    this.#table.reserve(count);
  }

  /**
   * Takes in names that have the next numbers of a lane, as `Names.copyTo` gives them: what is read back from a store.
   * @param words holds one word more than `end`
   * @throws Error that says what is no name, there twice, or in a lane that is not its own. Part of the names may be taken
   *   in then, so whoever goes on begins with another interner.
   */
  restore(lane: number, words: Uint32Array, end: number): void {
    assert(words.length > end, 'a word more than the names take');
    let at = 0;
    while (at < end) {
      let count = 0;
      for (; count < namesTogether && at < end; count += 1) {
        const byteLength = words[at] & lengthMask;
        const next = at + wordsOf(byteLength);
        if (byteLength === 0 || byteLength > nameBytesMax || next > end) throw noName(byteLength, at, end);
        if ((words[next - 1] & ~usedBytes(byteLength)) !== 0) throw notPadded(nameIn(words, at));
        this.#starts[count] = at;
        this.#lengths[count] = byteLength;
        this.#hashStored(lane, words, at, byteLength, count);
        at = next;
      }
      this.#restoreTogether(lane, words, count);
    }
  }

  /** Hashes a name, which is without its flag meanwhile, and asks for its lane. */
  #hashStored(lane: number, words: Uint32Array, start: number, byteLength: number, index: number): void {
    const first = words[start];
    words[start] = first & ~escapeFlag;
    this.#hashes[index] = halfSipHash(words, start, headerBytes + byteLength, this.#key0, this.#key1);
    const ownLane = this.#laneOf(words, start, byteLength);
    words[start] = first;
    if (ownLane !== lane) throw wrongLane(nameIn(words, start), lane, ownLane);
  }

  #restoreTogether(lane: number, words: Uint32Array, count: number): void {
    const { names } = this;
    const table = this.#table;
    // Memory is waited for here, for all of them side by side: what follows finds the slots in the cache.
    for (let index = 0; index < count; index += 1)
      this.#firstSlots[index] = table.firstSlot(this.#hashes[index]);
    this.#askedWords = words;
    for (let index = 0; index < count; index += 1) {
      const start = this.#starts[index];
      const byteLength = this.#lengths[index];
      this.#askedStart = start;
      this.#askedLength = byteLength;
      // The flag is in the words already.
      const number = names.append(lane, words, byteLength, false, start);
      if (table.insertUnlessThere(this.#hashes[index], number) !== -1) throw thereTwice(nameIn(words, start));
    }
  }

  #findHashed(hash: number, start: number, byteLength: number): No | -1 {
    this.#askedWords = this.#encoder.words;
    this.#askedStart = start;
    this.#askedLength = byteLength;
    return this.#table.find(hash) as No | -1;
  }

  #hash(start: number): number {
    const { words, byteLength } = this.#encoder;
    return halfSipHash(words, start, headerBytes + byteLength, this.#key0, this.#key1);
  }
}

/** Looks names up in another thread than the one that gives out their numbers. Never waits for it. */
export class InternerReader<No extends number> {
  readonly names: Names;
  readonly #table: TableReader;
  readonly #encoder = new NameEncoder();
  readonly #key0: number;
  readonly #key1: number;
  readonly #matches: (number: number) => boolean;

  constructor({ names, table, key0, key1 }: InternerSubscription) {
    this.names = Names.open(names);
    this.#table = new TableReader(table);
    this.#key0 = key0;
    this.#key1 = key1;
    this.#matches = (number) => {
      // Its name was written before the number was put into the table, perhaps to a chunk that is not here yet.
      this.names.renew();
      const { words, byteLength } = this.#encoder;
      return this.names.equalsAt(this.names.position(number), words, 0, byteLength);
    };
  }

  /** @returns the number of a name, or -1 when it had none as the call began */
  find(name: string): No | -1 {
    const { words } = this.#encoder;
    if (!this.#encoder.encode(name)) return -1;
    const hash = halfSipHash(words, 0, headerBytes + this.#encoder.byteLength, this.#key0, this.#key1);
    return this.#table.find(hash, this.#matches) as No | -1;
  }

  close(): void {
    this.names.close();
    this.#table.close();
  }
}

/** Of the word that a name ends in, the bytes that are the name's. */
function usedBytes(byteLength: number): number {
  return 0xffffffff >>> ((-(headerBytes + byteLength) & 3) << 3);
}

// Errors are made in functions of their own, so that nothing of their text is worked out where there is none.

function noName(byteLength: number, at: number, end: number): Error {
  return new Error(`a name of ${byteLength} bytes at ${at} of ${end} words`);
}

function notPadded(name: string): Error {
  return new Error(`behind the name ${name} are bytes that are not zero`);
}

function wrongLane(name: string, lane: number, ownLane: number): Error {
  return new Error(`the name ${name} is in lane ${lane}, and belongs in ${ownLane}`);
}

function thereTwice(name: string): Error {
  return new Error(`the name ${name} is there twice`);
}

/** A stored name, for people. */
function nameIn(words: Uint32Array, start: number): string {
  const bytes = Buffer.from(
    words.buffer,
    words.byteOffset + start * 4 + headerBytes,
    words[start] & lengthMask,
  );
  return JSON.stringify(bytes.toString());
}

/** Names of rooms: a lane for each partition, so that a number carries its partition. */
export function roomNames(): Names {
  return new Names(partitionCount, sequenceBits);
}

export function roomInterner(random: RandomBytes = systemRandom): Interner<RoomNo> {
  // The key is fixed: a room's partition must be the same after a restart, and on every machine.
  const partitionOfName: LaneOf = (words, start, byteLength) =>
    halfSipHash(words, start, headerBytes + byteLength, 0, 0) % partitionCount;
  return new Interner<RoomNo>(roomNames(), 'roomId', partitionOfName, random);
}

/** Names of users: one lane. */
export function userNames(): Names {
  return new Names(1, userBits);
}

export function userInterner(random: RandomBytes = systemRandom): Interner<UserNo> {
  const names = userNames();
  const none = names.append(0, new Uint32Array(1), 0, false);
  assert(none === nobody, 'the first number is nobody');
  return new Interner<UserNo>(names, 'userId', () => 0, random);
}
