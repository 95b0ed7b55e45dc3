/**
 * Sorted runs of RoomNo in slabs of size classes: the form of nearly every room set, at 4 bytes a room and no object.
 *
 * A run of one room is its handle and takes no slot: a third of all users are in one room, and of a shard's users more.
 * A longer one lies in a slot of the smallest class that holds it, padded with `padding`, which is above every RoomNo.
 * So the length needs no header: it is where the padding begins, and that is after the next smaller class's capacity.
 * Freed slots are chained through their first word and used again.
 *
 * A handle is room + 1, or 2^31 | class << 26 | slot: never 0. Chunks never move, so growth copies nothing.
 * Cost: insert and remove move at most `packedCountMax` words; slots are on average nine tenths full.
 */
import { assert } from '../base/assert.js';
import { roomNoEnd, userBits } from '../base/ids.js';
import { Slab } from './slab.js';
import { packedCountMax } from './thresholds.js';

/** Above every RoomNo. */
const padding = 0xffffffff;

/** The first class is only there to give the second one its least count: runs of one room have no slot. */
const capacities = [
  1, 2, 3, 4, 6, 8, 12, 16, 24, 32, 48, 64, 96, 128, 192, 256, 384, 512, 768, 1024, 1536, 2048,
];
assert(capacities.at(-1) === packedCountMax, 'the largest class holds the largest run');

/** Handles from here on name a slot; those below are a room + 1. */
const slotFlag = 2 ** 31;
assert(roomNoEnd < slotFlag, 'the handle of a single room stays below those of slots');
const slotBits = userBits;
const slotMask = 2 ** slotBits - 1;
/** Beyond this, `copyWithin` is faster than a loop. */
const wordsMovedByHand = 32;

/** The class of a handle that is not a packed run's but a bitmap's (room-sets.ts). */
export const bitmapClass = 31;
assert(capacities.length <= bitmapClass, 'no class of runs is the one of bitmaps');

/** Whether the handle is of a set that holds one room: two such sets share it when their handles are equal. */
export function isSingle(handle: number): boolean {
  return handle < slotFlag;
}

/** @param handle one that is no single room's */
export function classOf(handle: number): number {
  return (handle >>> slotBits) & 31;
}

/** Fewest rooms of a run in this class: one fewer would fit the class before. */
function countMinOf(sizeClass: number): number {
  return capacities[sizeClass - 1] + 1;
}

export function slotOf(handle: number): number {
  return handle & slotMask;
}

export function handleOf(sizeClass: number, slot: number): number {
  assert(slot <= slotMask, 'a shard has at most one set a user, and users are bounded (base/ids.ts)');
  return (slotFlag | (sizeClass << slotBits) | slot) >>> 0;
}

/** A window on a run, filled in by `PackedRuns.open`, so that a look-up makes no object. */
export class RunView {
  words: Uint32Array = new Uint32Array(0);
  start = 0;
  count = 0;
  /** What `words` is for a single room. */
  readonly one = new Uint32Array(1);
}

export class PackedRuns {
  readonly #slabs = capacities.map((capacity) => new Slab(capacity));
  readonly #view = new RunView();

  /** Points `view` at the run; valid until the next change. */
  open(handle: number, view: RunView): void {
    if (isSingle(handle)) {
      view.one[0] = handle - 1;
      view.words = view.one;
      view.start = 0;
      view.count = 1;
      return;
    }
    const sizeClass = classOf(handle);
    const slab = this.#slabs[sizeClass];
    const words = slab.chunkOf(slotOf(handle));
    const start = slab.startOf(slotOf(handle));
    let low = countMinOf(sizeClass);
    let high = slab.capacity;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (words[start + middle] === padding) high = middle;
      else low = middle + 1;
    }
    view.words = words;
    view.start = start;
    view.count = low;
  }

  /** A new run of one room. */
  single(room: number): number {
    return room + 1;
  }

  /** A new run. @param rooms `count` of them, ascending, distinct, 1 to `packedCountMax` */
  create(rooms: Uint32Array, count = rooms.length): number {
    if (count === 1) return this.single(rooms[0]);
    let sizeClass = 1;
    while (capacities[sizeClass] < count) sizeClass += 1;
    const slab = this.#slabs[sizeClass];
    const slot = slab.take();
    const words = slab.chunkOf(slot);
    const start = slab.startOf(slot);
    copyRun(rooms, 0, words, start, count);
    const end = start + slab.capacity;
    for (let at = start + count; at < end; at += 1) words[at] = padding;
    return handleOf(sizeClass, slot);
  }

  /**
   * @param index where the room belongs, as `lowerBound` tells
   * @returns the run's handle from now on. The run has fewer than `packedCountMax` rooms.
   */
  insert(handle: number, index: number, room: number): number {
    const view = this.#view;
    this.open(handle, view);
    const { words, start, count } = view;
    const sizeClass = isSingle(handle) ? 0 : classOf(handle);
    if (count < capacities[sizeClass]) {
      moveUp(words, start + index, start + count);
      words[start + index] = room;
      return handle;
    }
    assert(sizeClass + 1 < capacities.length, 'a run of packedCountMax rooms becomes a bitmap');
    const next = this.#take(sizeClass + 1);
    copyRun(words, start, next.words, next.start, index);
    next.words[next.start + index] = room;
    copyRun(words, start + index, next.words, next.start + index + 1, count - index);
    for (let at = count + 1; at < capacities[sizeClass + 1]; at += 1) next.words[next.start + at] = padding;
    this.release(handle);
    return next.handle;
  }

  /** Takes out the room at `index`. @returns the run's handle from now on, 0 when it is empty */
  removeAt(handle: number, index: number): number {
    if (isSingle(handle)) return 0;
    const view = this.#view;
    this.open(handle, view);
    const { words, start, count } = view;
    const sizeClass = classOf(handle);
    if (count > countMinOf(sizeClass)) {
      words.copyWithin(start + index, start + index + 1, start + count);
      words[start + count - 1] = padding;
      return handle;
    }
    if (count === 2) {
      const remaining = words[start + 1 - index];
      this.release(handle);
      return this.single(remaining);
    }
    // One fewer fills the next smaller class exactly: no padding.
    const next = this.#take(sizeClass - 1);
    copyRun(words, start, next.words, next.start, index);
    copyRun(words, start + index + 1, next.words, next.start + index, count - index - 1);
    this.release(handle);
    return next.handle;
  }

  release(handle: number): void {
    if (!isSingle(handle)) this.#slabs[classOf(handle)].give(slotOf(handle));
  }

  /** Bytes of the slabs, free slots included. */
  get bytes(): number {
    return this.#slabs.reduce((sum, slab) => sum + slab.bytes, 0);
  }

  /** The first fault of a run, or undefined. */
  fault(handle: number): string | undefined {
    const view = new RunView();
    this.open(handle, view);
    const { words, start, count } = view;
    if (isSingle(handle)) return undefined;
    for (let index = 1; index < count; index += 1) {
      if (words[start + index - 1] >= words[start + index])
        return `run holds ${words[start + index]} out of order`;
    }
    for (let index = count; index < capacities[classOf(handle)]; index += 1) {
      if (words[start + index] !== padding) return `run of ${count} is not padded`;
    }
    return count < countMinOf(classOf(handle)) ? `run of ${count} is in too large a class` : undefined;
  }

  #take(sizeClass: number): { words: Uint32Array; start: number; handle: number } {
    const slab = this.#slabs[sizeClass];
    const slot = slab.take();
    return {
      words: slab.chunkOf(slot),
      start: slab.startOf(slot),
      handle: handleOf(sizeClass, slot),
    };
  }
}

/**
 * Index of the first member that is not below `room`; `count` when there is none.
 *
 * Without a branch to mispredict: rooms are below 2^31, so the sign of a difference says which one is smaller.
 */
export function lowerBound(words: Uint32Array, start: number, count: number, room: number): number {
  if (count === 0) return 0;
  let base = start;
  let length = count;
  while (length > 1) {
    const half = length >>> 1;
    base += half & ((words[base + half - 1] - room) >> 31);
    length -= half;
  }
  return base - start + ((words[base] - room) >>> 31);
}

/** Makes room for one word at `at`. The builtin costs a call: few words are moved one by one. */
function moveUp(words: Uint32Array, at: number, end: number): void {
  if (end - at > wordsMovedByHand) {
    words.copyWithin(at + 1, at, end);
    return;
  }
  for (let index = end; index > at; index -= 1) words[index] = words[index - 1];
}

/** Most runs are a few words long: a loop beats `set(subarray())`, which makes an object. */
function copyRun(source: Uint32Array, from: number, target: Uint32Array, to: number, count: number): void {
  for (let index = 0; index < count; index += 1) target[to + index] = source[from + index];
}
