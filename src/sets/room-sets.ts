/**
 * The room sets of one shard: each a set of RoomNo in one of two forms, named by a handle that a change may replace.
 *
 * Packed is a sorted run (packed-runs.ts); bitmap is Roaring (bitmap.ts). An add beyond `packedCountMax` promotes; a
 * remove demotes only below `packedCountMin`, so that one member going to and fro converts nothing. The empty set is
 * handle 0 and takes no memory.
 *
 * Invariant I3: one form is live, members ascend and are distinct, `count` agrees.
 * Cost: has() is a binary search (packed) or a container look-up (bitmap); add() moves at most `packedCountMax` words.
 */
import { assert } from '../base/assert.js';
import { bitmapBytes, bitmapCopy, bitmapFault, bitmapOf, type Bitmap } from './bitmap.js';
import {
  PackedRuns,
  RunView,
  bitmapClass,
  classOf,
  handleOf,
  isSingle,
  lowerBound,
  slotOf,
} from './packed-runs.js';
import { packedCountMax, packedCountMin } from './thresholds.js';

/** The handle of the empty set. */
export const emptySet = 0;

export class RoomSets {
  readonly runs = new PackedRuns();
  readonly #bitmaps: (Bitmap | undefined)[] = [];
  readonly #freeBitmaps: number[] = [];
  readonly #view = new RunView();

  isBitmap(handle: number): boolean {
    return !isSingle(handle) && classOf(handle) === bitmapClass;
  }

  /** @param handle of which `isBitmap` is true */
  bitmap(handle: number): Bitmap {
    assert(this.isBitmap(handle), 'only a bitmap is asked for as one');
    const bitmap = this.#bitmaps[slotOf(handle)];
    assert(bitmap !== undefined, 'the handle of a bitmap names one that is live');
    return bitmap;
  }

  count(handle: number): number {
    if (handle === emptySet) return 0;
    if (this.isBitmap(handle)) return this.bitmap(handle).size;
    this.runs.open(handle, this.#view);
    return this.#view.count;
  }

  has(handle: number, room: number): boolean {
    if (handle === emptySet) return false;
    if (this.isBitmap(handle)) return this.bitmap(handle).has(room);
    const view = this.#view;
    this.runs.open(handle, view);
    const index = lowerBound(view.words, view.start, view.count, room);
    return index < view.count && view.words[view.start + index] === room;
  }

  /** Points `view` at all rooms, ascending: valid until the next call. */
  open(handle: number, view: RunView): void {
    if (handle === emptySet) view.count = 0;
    else if (this.isBitmap(handle)) {
      const bitmap = this.bitmap(handle);
      view.words = new Uint32Array(bitmap.size);
      view.start = 0;
      view.count = bitmapCopy(bitmap, 0, bitmap.size, view.words);
    } else this.runs.open(handle, view);
  }

  /** @returns the set's handle from now on, or -1 when the room is in it already */
  add(handle: number, room: number): number {
    if (handle === emptySet) return this.runs.single(room);
    if (this.isBitmap(handle)) return this.bitmap(handle).tryAdd(room) ? handle : -1;
    const view = this.#view;
    this.runs.open(handle, view);
    const { words, start, count } = view;
    const index = lowerBound(words, start, count, room);
    if (index < count && words[start + index] === room) return -1;
    if (count < packedCountMax) return this.runs.insert(handle, index, room);
    const bitmap = bitmapOf(words.subarray(start, start + count));
    bitmap.add(room);
    this.runs.release(handle);
    return this.#keep(bitmap);
  }

  /** Adds many rooms, ascending and all above those that are there. @returns the set's handle from now on */
  append(handle: number, rooms: Uint32Array, added: number): number {
    if (added === 0) return handle;
    if (handle === emptySet && added <= packedCountMax) return this.runs.create(rooms, added);
    if (handle === emptySet) return this.#keep(bitmapOf(rooms.subarray(0, added)));
    if (this.isBitmap(handle)) {
      const bitmap = this.bitmap(handle);
      const before = bitmap.size;
      bitmap.addMany(rooms.subarray(0, added));
      assert(bitmap.size === before + added, 'rooms are appended to those below them');
      return handle;
    }
    const view = this.#view;
    this.runs.open(handle, view);
    assert(view.words[view.start + view.count - 1] < rooms[0], 'rooms are appended to those below them');
    const all = new Uint32Array(view.count + added);
    all.set(view.words.subarray(view.start, view.start + view.count));
    all.set(rooms.subarray(0, added), view.count);
    this.runs.release(handle);
    return this.append(emptySet, all, all.length);
  }

  /** @returns the set's handle from now on (0 when it is empty), or -1 when the room is not in it */
  remove(handle: number, room: number): number {
    if (handle === emptySet) return -1;
    if (this.isBitmap(handle)) {
      const bitmap = this.bitmap(handle);
      if (!bitmap.delete(room)) return -1;
      return bitmap.size < packedCountMin ? this.#demote(handle) : handle;
    }
    const view = this.#view;
    this.runs.open(handle, view);
    const index = lowerBound(view.words, view.start, view.count, room);
    if (index === view.count || view.words[view.start + index] !== room) return -1;
    return this.runs.removeAt(handle, index);
  }

  /** Gives the set's memory back. */
  release(handle: number): void {
    if (handle === emptySet) return;
    if (this.isBitmap(handle)) this.#drop(handle);
    else this.runs.release(handle);
  }

  /** Bytes by form: slabs with their free slots, and bitmaps as they would be written down. */
  get bytes(): { packed: number; bitmaps: number } {
    let bitmaps = 0;
    for (const bitmap of this.#bitmaps) if (bitmap !== undefined) bitmaps += bitmapBytes(bitmap);
    return { packed: this.runs.bytes, bitmaps };
  }

  /** How many sets are bitmaps. */
  get bitmapCount(): number {
    return this.#bitmaps.length - this.#freeBitmaps.length;
  }

  /** The first fault of a set by invariant I3, or undefined: for fuzzing and for `verify`. */
  fault(handle: number): string | undefined {
    if (handle === emptySet) return undefined;
    if (!this.isBitmap(handle)) return this.runs.fault(handle);
    const bitmap = this.bitmap(handle);
    if (bitmap.size < packedCountMin) return `bitmap of ${bitmap.size} should be packed`;
    return bitmapFault(bitmap);
  }

  #keep(bitmap: Bitmap): number {
    const slot = this.#freeBitmaps.pop() ?? this.#bitmaps.length;
    this.#bitmaps[slot] = bitmap;
    return handleOf(bitmapClass, slot);
  }

  #drop(handle: number): void {
    this.bitmap(handle).dispose();
    this.#bitmaps[slotOf(handle)] = undefined;
    this.#freeBitmaps.push(slotOf(handle));
  }

  #demote(handle: number): number {
    const rooms = new Uint32Array(packedCountMin);
    const count = bitmapCopy(this.bitmap(handle), 0, packedCountMin, rooms);
    this.#drop(handle);
    return this.runs.create(rooms, count);
  }
}
