/**
 * Hash -> number, by extendible hashing: open addressing in segments of at most 16,384 slots, found through a directory
 * by the hash's high bits. A full segment splits in two, so no insert ever moves more than one segment (about 0.2 ms);
 * a single table of ten million names would stop the world for a second each time it doubled.
 *
 * Slots hold number + 1 (0 is empty) beside the whole hash, so that a look-up touches a name only when all 32 bits of
 * its hash agree, and a split touches none. Numbers are never taken out.
 *
 * Cost: 8 bytes a slot, filled to between 40 and 80 %; one cache line a look-up, as a rule.
 */
import { assert } from '../base/assert.js';

const segmentSlotsMin = 256;
const segmentSlotsMax = 16_384;
/** Of a segment's load, what is filled when a table was made for it: hashes do not fall evenly. */
const reservedShare = 0.95;
/** A directory of more bits would be larger than what it finds. */
const depthMax = 24;
/** Filled beyond this, probes of a linear table grow quickly. */
const loadMax = 0.8;

class Segment {
  slots: Uint32Array;
  count = 0;
  /** How many high bits of the hash all members share. */
  readonly depth: number;

  constructor(slotCount: number, depth: number) {
    this.slots = new Uint32Array(slotCount * 2);
    this.depth = depth;
  }

  insert(hash: number, number: number): void {
    const mask = this.slots.length - 2;
    let at = (hash << 1) & mask;
    while (this.slots[at] !== 0) at = (at + 2) & mask;
    this.slots[at] = number + 1;
    this.slots[at + 1] = hash;
    this.count += 1;
  }
}

export class HashTable {
  #directory: Segment[] = [new Segment(segmentSlotsMin, 0)];
  #depth = 0;
  readonly #matches: (number: number) => boolean;
  count = 0;

  /** @param matches whether the name now looked for is the one of this number; called when the whole hash agrees */
  constructor(matches: (number: number) => boolean) {
    this.#matches = matches;
  }

  /** What is in the first slot that a look-up of this hash comes to: 0 when it is empty, and the hash not in the table. */
  firstSlot(hash: number): number {
    const { slots } = this.#directory[this.#indexOf(hash)];
    return slots[(hash << 1) & (slots.length - 2)];
  }

  /**
   * The first number with this hash, or -1 when there is none: nearly always the one looked for, but its name has not
   * been compared. So many can be looked up together, and their cache misses overlap.
   */
  candidate(hash: number): number {
    const { slots } = this.#directory[this.#indexOf(hash)];
    const mask = slots.length - 2;
    let at = (hash << 1) & mask;
    while (slots[at] !== 0) {
      if (slots[at + 1] === hash) return slots[at] - 1;
      at = (at + 2) & mask;
    }
    return -1;
  }

  /** @returns the number, or -1 */
  find(hash: number): number {
    const { slots } = this.#directory[this.#indexOf(hash)];
    const mask = slots.length - 2;
    let at = (hash << 1) & mask;
    while (slots[at] !== 0) {
      if (slots[at + 1] === hash) {
        const number = slots[at] - 1;
        if (this.#matches(number)) return number;
      }
      at = (at + 2) & mask;
    }
    return -1;
  }

  /** Adds a number whose name is not in the table yet. */
  insert(hash: number, number: number): void {
    this.#segmentWithPlace(hash).insert(hash, number);
    this.count += 1;
  }

  /** `find` and `insert` in one go over the slots. @returns the number that is there already, or -1 when there was none */
  insertUnlessThere(hash: number, number: number): number {
    const segment = this.#segmentWithPlace(hash);
    const { slots } = segment;
    const mask = slots.length - 2;
    let at = (hash << 1) & mask;
    while (slots[at] !== 0) {
      if (slots[at + 1] === hash && this.#matches(slots[at] - 1)) return slots[at] - 1;
      at = (at + 2) & mask;
    }
    slots[at] = number + 1;
    slots[at + 1] = hash;
    segment.count += 1;
    this.count += 1;
    return -1;
  }

  /**
   * Makes place for so many numbers in an empty table: filling it then splits nothing.
   * @param count beyond it the table grows as usual
   */
  reserve(count: number): void {
    assert(this.count === 0, 'only an empty table is made larger at once');
    const segments = count / (segmentSlotsMax * loadMax * reservedShare);
    if (segments < 1) return;
    this.#depth = Math.min(depthMax, Math.ceil(Math.log2(segments)));
    this.#directory = Array.from(
      { length: 2 ** this.#depth },
      () => new Segment(segmentSlotsMax, this.#depth),
    );
  }

  /** The segment of a hash, after it has been made larger or split when it was full. */
  #segmentWithPlace(hash: number): Segment {
    let segment = this.#directory[this.#indexOf(hash)];
    while (segment.count + 1 > (segment.slots.length / 2) * loadMax) {
      if (segment.slots.length / 2 < segmentSlotsMax || segment.depth === depthMax) this.#enlarge(segment);
      else this.#split(segment);
      segment = this.#directory[this.#indexOf(hash)];
    }
    return segment;
  }

  /** Bytes on and off the heap, the directory included. */
  get bytes(): number {
    let bytes = this.#directory.length * 8;
    for (const segment of new Set(this.#directory)) bytes += segment.slots.byteLength;
    return bytes;
  }

  #indexOf(hash: number): number {
    // A shift by 32 is a shift by 0 in JavaScript, so depth 0 needs its own answer.
    return this.#depth === 0 ? 0 : hash >>> (32 - this.#depth);
  }

  #enlarge(segment: Segment): void {
    const { slots } = segment;
    segment.slots = new Uint32Array(slots.length * 2);
    segment.count = 0;
    for (let at = 0; at < slots.length; at += 2) {
      if (slots[at] !== 0) segment.insert(slots[at + 1], slots[at] - 1);
    }
  }

  #split(segment: Segment): void {
    const depth = segment.depth + 1;
    if (depth > this.#depth) {
      this.#directory = this.#directory.flatMap((entry) => [entry, entry]);
      this.#depth += 1;
    }
    const low = new Segment(segmentSlotsMax, depth);
    const high = new Segment(segmentSlotsMax, depth);
    const { slots } = segment;
    for (let at = 0; at < slots.length; at += 2) {
      if (slots[at] === 0) continue;
      const hash = slots[at + 1];
      (((hash >>> (32 - depth)) & 1) === 0 ? low : high).insert(hash, slots[at] - 1);
    }
    assert(low.count + high.count === segment.count, 'a split keeps every number');
    // The directory entries of a segment are contiguous: those whose index starts with its shared bits.
    const first = this.#directory.indexOf(segment);
    const half = 2 ** (this.#depth - depth);
    this.#directory.fill(low, first, first + half);
    this.#directory.fill(high, first + half, first + 2 * half);
  }
}
