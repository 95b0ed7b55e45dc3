/**
 * Hash -> number, by extendible hashing: open addressing in segments of at most 16,384 slots, found through a root
 * by the hash's high bits. A full segment splits in two, so no insert ever moves more than one segment (about 0.2 ms);
 * a single table of ten million names would stop the world for a second each time it doubled.
 *
 * Slots hold number + 1 (0 is empty) beside the whole hash, so that a look-up touches a name only when all 32 bits of
 * its hash agree, and a split touches none. Numbers are never taken out.
 *
 * One thread writes; others read the same memory through a `TableReader`, without locks. An insert writes the hash first and
 * then, atomically, the number. A segment that is enlarged or split stays as it is: others take its place in the root when
 * they are filled. So a reader sees each number whole or not at all, and every number that was inserted before its look-up began.
 *
 * Cost: 8 bytes a slot, filled to between 40 and 80 %; one cache line a look-up, as a rule.
 */
import { assert } from '../base/assert.js';
import { Publisher, Subscriber, type Subscription } from './publication.js';

const segmentSlotsMin = 256;
const segmentSlotsMax = 16_384;
/** Of a segment's load, what is filled when a table was made for it: hashes do not fall evenly. */
const reservedShare = 0.95;
/** A root of more bits would be larger than what it finds. */
const depthMax = 24;
/** Filled beyond this, probes of a linear table grow quickly. */
const loadMax = 0.8;

class Segment {
  readonly slots: Uint32Array;
  count = 0;
  /** What the root calls it. */
  readonly id: number;
  /** How many high bits of the hash all members share. */
  readonly depth: number;

  constructor(id: number, slotCount: number, depth: number) {
    this.id = id;
    this.slots = new Uint32Array(new SharedArrayBuffer(slotCount * 8));
    this.depth = depth;
  }

  /** @param isRead whether others read it meanwhile */
  insert(hash: number, number: number, isRead: boolean): void {
    const mask = this.slots.length - 2;
    let at = (hash << 1) & mask;
    while (this.slots[at] !== 0) at = (at + 2) & mask;
    this.put(at, hash, number, isRead);
  }

  /** The number last: a reader that sees it sees its hash. An atomic store is a tenth of an insert, so it is made for readers only. */
  put(at: number, hash: number, number: number, isRead: boolean): void {
    this.slots[at + 1] = hash;
    if (isRead) Atomics.store(this.slots, at, number + 1);
    else this.slots[at] = number + 1;
    this.count += 1;
  }
}

/** What readers are told of. */
type TablePiece =
  | { readonly kind: 'segment'; readonly id: number; readonly slots: Uint32Array }
  /** Ids of segments by the high bits of the hash. */
  | { readonly kind: 'root'; readonly ids: Uint32Array; readonly depth: number }
  /** Nothing leads to this segment any more. */
  | { readonly kind: 'dropped'; readonly id: number };

export type TableSubscription = Subscription<TablePiece>;

function newRoot(depth: number): Uint32Array {
  return new Uint32Array(new SharedArrayBuffer(4 * 2 ** depth));
}

export class HashTable {
  #segments: Segment[] = [new Segment(0, segmentSlotsMin, 0)];
  /** The same as ids: what readers go by. */
  #root = newRoot(0);
  #depth = 0;
  #nextId = 1;
  readonly #publisher = new Publisher<TablePiece>();
  readonly #matches: (number: number) => boolean;
  count = 0;

  /** @param matches whether the name now looked for is the one of this number; called when the whole hash agrees */
  constructor(matches: (number: number) => boolean) {
    this.#matches = matches;
  }

  /** What is in the first slot that a look-up of this hash comes to: 0 when it is empty, and the hash not in the table. */
  firstSlot(hash: number): number {
    const { slots } = this.#segments[this.#indexOf(hash)];
    return slots[(hash << 1) & (slots.length - 2)];
  }

  /**
   * The first number with this hash, or -1 when there is none: nearly always the one looked for, but its name has not
   * been compared. So many can be looked up together, and their cache misses overlap.
   */
  candidate(hash: number): number {
    const { slots } = this.#segments[this.#indexOf(hash)];
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
    const { slots } = this.#segments[this.#indexOf(hash)];
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
    this.#segmentWithPlace(hash).insert(hash, number, this.#publisher.isRead);
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
    segment.put(at, hash, number, this.#publisher.isRead);
    this.count += 1;
    return -1;
  }

  /**
   * Makes place for so many numbers in an empty table: filling it then splits nothing.
   * @param count beyond it the table grows as usual
   */
  reserve(count: number): void {
    assert(this.count === 0, 'only an empty table is made larger at once');
    const [first] = this.#segments;
    const segments = count / (segmentSlotsMax * loadMax * reservedShare);
    if (segments < 1) return;
    this.#depth = Math.min(depthMax, Math.ceil(Math.log2(segments)));
    this.#segments = Array.from({ length: 2 ** this.#depth }, () =>
      this.#newSegment(segmentSlotsMax, this.#depth),
    );
    for (const segment of this.#segments) this.#publishSegment(segment);
    this.#publishRoot();
    this.#publisher.post({ kind: 'dropped', id: first.id });
  }

  /** What a `TableReader` in another thread begins with. */
  subscribe(): TableSubscription {
    const segments = [...new Set(this.#segments)];
    return this.#publisher.subscribe([
      ...segments.map(({ id, slots }): TablePiece => ({ kind: 'segment', id, slots })),
      { kind: 'root', ids: this.#root, depth: this.#depth },
    ]);
  }

  /** The segment of a hash, after it has been made larger or split when it was full. */
  #segmentWithPlace(hash: number): Segment {
    let segment = this.#segments[this.#indexOf(hash)];
    while (segment.count + 1 > (segment.slots.length / 2) * loadMax) {
      if (segment.slots.length / 2 < segmentSlotsMax || segment.depth === depthMax) this.#enlarge(segment);
      else this.#split(segment);
      segment = this.#segments[this.#indexOf(hash)];
    }
    return segment;
  }

  /** Bytes on and off the heap, the root included. */
  get bytes(): number {
    let bytes = this.#segments.length * 8 + this.#root.byteLength;
    for (const segment of new Set(this.#segments)) bytes += segment.slots.byteLength;
    return bytes;
  }

  #indexOf(hash: number): number {
    // A shift by 32 is a shift by 0 in JavaScript, so depth 0 needs its own answer.
    return this.#depth === 0 ? 0 : hash >>> (32 - this.#depth);
  }

  #newSegment(slotCount: number, depth: number): Segment {
    return new Segment(this.#nextId++, slotCount, depth);
  }

  #enlarge(segment: Segment): void {
    const { slots, depth } = segment;
    const larger = this.#newSegment(slots.length, depth);
    for (let at = 0; at < slots.length; at += 2) {
      if (slots[at] !== 0) larger.insert(slots[at + 1], slots[at] - 1, false);
    }
    this.#publishSegment(larger);
    this.#replace(segment, [larger]);
    this.#publisher.post({ kind: 'dropped', id: segment.id });
  }

  #split(segment: Segment): void {
    const depth = segment.depth + 1;
    const low = this.#newSegment(segmentSlotsMax, depth);
    const high = this.#newSegment(segmentSlotsMax, depth);
    const { slots } = segment;
    for (let at = 0; at < slots.length; at += 2) {
      if (slots[at] === 0) continue;
      const hash = slots[at + 1];
      (((hash >>> (32 - depth)) & 1) === 0 ? low : high).insert(hash, slots[at] - 1, false);
    }
    assert(low.count + high.count === segment.count, 'a split keeps every number');
    this.#publishSegment(low);
    this.#publishSegment(high);
    if (depth > this.#depth) {
      this.#segments = this.#segments.flatMap((entry) => [entry, entry]);
      this.#depth += 1;
      this.#publishRoot();
    }
    this.#replace(segment, [low, high]);
    this.#publisher.post({ kind: 'dropped', id: segment.id });
  }

  /** Puts segments in the place of one, in the order of their hashes. */
  #replace(segment: Segment, by: readonly Segment[]): void {
    // The entries of a segment are contiguous: those whose index starts with its shared bits.
    const first = this.#segments.indexOf(segment);
    const each = 2 ** (this.#depth - segment.depth) / by.length;
    for (let index = 0; index < each * by.length; index += 1) {
      const next = by[Math.floor(index / each)];
      this.#segments[first + index] = next;
      Atomics.store(this.#root, first + index, next.id);
    }
  }

  #publishSegment({ id, slots }: Segment): void {
    this.#publisher.post({ kind: 'segment', id, slots });
  }

  #publishRoot(): void {
    this.#root = newRoot(this.#depth);
    for (const [index, { id }] of this.#segments.entries()) this.#root[index] = id;
    this.#publisher.post({ kind: 'root', ids: this.#root, depth: this.#depth });
  }
}

/** Reads a table in another thread than the one that writes it. */
export class TableReader {
  readonly #segments = new Map<number, Uint32Array>();
  #root: Uint32Array = new Uint32Array(1);
  #depth = 0;
  readonly #subscriber: Subscriber<TablePiece>;

  constructor(subscription: TableSubscription) {
    this.#subscriber = new Subscriber(subscription, (piece) => this.#take(piece));
  }

  /**
   * @param matches whether the name looked for is the one of this number; called when the whole hash agrees
   * @returns the number, or -1: it was not there when the look-up began
   */
  find(hash: number, matches: (number: number) => boolean): number {
    const slots = this.#slotsOf(hash);
    const mask = slots.length - 2;
    for (let at = (hash << 1) & mask; ; at = (at + 2) & mask) {
      const taken = Atomics.load(slots, at);
      if (taken === 0) return -1;
      if (slots[at + 1] === hash && matches(taken - 1)) return taken - 1;
    }
  }

  close(): void {
    this.#subscriber.close();
  }

  #slotsOf(hash: number): Uint32Array {
    for (;;) {
      this.#subscriber.renew();
      const index = this.#depth === 0 ? 0 : hash >>> (32 - this.#depth);
      const slots = this.#segments.get(Atomics.load(this.#root, index));
      // A segment that took its place in the root since: its piece was posted before that.
      if (slots !== undefined) return slots;
    }
  }

  #take(piece: TablePiece): void {
    if (piece.kind === 'segment') this.#segments.set(piece.id, piece.slots);
    else if (piece.kind === 'dropped') this.#segments.delete(piece.id);
    else {
      this.#root = piece.ids;
      this.#depth = piece.depth;
    }
  }
}
