/**
 * The intersection of the room sets of n users: one page of it with the exact total, or whether there is any.
 *
 * Of more than two sets, packed ones are taken first, then the smallest. The total counts every common room; `rooms` holds only
 * those from `start` on, at most `limit`, ascending. With one user the intersection is the set itself.
 *
 * Cost: packed with packed is a merge, or a search for each member of the shorter one (run-intersection.ts); packed with bitmap
 * is a look-up for each member, or one native intersection; bitmap with bitmap is Roaring's own. Nothing is allocated unless a
 * bitmap is made.
 */
import { assert } from '../base/assert.js';
import { roomsPerPageMax, usersPerQuestionMax } from '../base/limits.js';
import { bitmapCopy, bitmapIntersection, bitmapOf, bitmapRank, type Bitmap } from './bitmap.js';
import { RunView, isSingle, lowerBound } from './packed-runs.js';
import { emptySet, type RoomSets } from './room-sets.js';
import { intersectRuns, runsShare } from './run-intersection.js';
import { firstProbesMax, packedCountMax, probeCountFirst, probeCountMax } from './thresholds.js';

/** Scratch: the members of one bitmap that are looked up in another one. */
const probed = new Uint32Array(128);

export class Intersection {
  /** How many rooms all the sets share. */
  count = 0;
  /** How many of these are not below `start`. */
  beyond = 0;
  /** The first of those, ascending: `taken` of them. Valid until the next call. */
  readonly rooms = new Uint32Array(roomsPerPageMax);
  taken = 0;

  readonly #sets: RoomSets;
  readonly #left = new RunView();
  readonly #right = new RunView();
  readonly #order = new Uint32Array(usersPerQuestionMax);

  constructor(sets: RoomSets) {
    // Whole merges are written to `rooms`, and a typed array silently drops what does not fit.
    assert(this.rooms.length >= packedCountMax, 'what two packed sets share fits a page');
    this.#sets = sets;
  }

  /** Computes the page of two sets: the common case, without the detour over candidates. */
  ofTwo(left: number, right: number, start: number, limit: number): void {
    const sets = this.#sets;
    this.#reset(limit);
    if (left === emptySet || right === emptySet) return;
    if (sets.isBitmap(left)) {
      if (sets.isBitmap(right)) this.#twoBitmaps(sets.bitmap(left), sets.bitmap(right), start, limit);
      else this.#runWithBitmap(right, sets.bitmap(left), start, limit);
    } else if (sets.isBitmap(right)) {
      this.#runWithBitmap(left, sets.bitmap(right), start, limit);
    } else {
      sets.runs.open(left, this.#left);
      sets.runs.open(right, this.#right);
      this.#page(intersectRuns(this.#left, this.#right, this.rooms), start, limit);
    }
  }

  /** Computes the page of any number of sets. @param handles 1 to `usersPerQuestionMax` of them */
  of(handles: Uint32Array, start: number, limit: number): void {
    if (handles.length === 2) {
      this.ofTwo(handles[0], handles[1], start, limit);
      return;
    }
    assert(handles.length > 0 && handles.length <= usersPerQuestionMax, 'one to usersPerQuestionMax sets');
    this.#reset(limit);
    const sets = this.#sets;
    const order = this.#order.subarray(0, handles.length);
    order.set(handles);
    // A bitmap may have fewer members than a packed set: forms overlap from `packedCountMin` to `packedCountMax`.
    order.sort(
      (left, right) =>
        Number(sets.isBitmap(left)) - Number(sets.isBitmap(right)) || sets.count(left) - sets.count(right),
    );
    if (order[0] === emptySet) return;
    if (sets.isBitmap(order[0])) this.#manyBitmaps(order, start, limit);
    else this.#manyFromRun(order, start, limit);
  }

  /** Whether two sets share a room. Stops at the first. */
  any(left: number, right: number): boolean {
    const sets = this.#sets;
    if (left === emptySet || right === emptySet) return false;
    if (isSingle(left) && isSingle(right)) return left === right;
    if (sets.isBitmap(left)) {
      if (sets.isBitmap(right)) return sets.bitmap(left).intersects(sets.bitmap(right));
      return this.#anyOfRunInBitmap(right, sets.bitmap(left));
    }
    if (sets.isBitmap(right)) return this.#anyOfRunInBitmap(left, sets.bitmap(right));
    sets.runs.open(left, this.#left);
    sets.runs.open(right, this.#right);
    return runsShare(this.#left, this.#right);
  }

  #reset(limit: number): void {
    assert(limit <= roomsPerPageMax, 'a page holds at most roomsPerPageMax rooms');
    this.count = 0;
    this.beyond = 0;
    this.taken = 0;
  }

  /** Cuts the page out of `rooms`, which holds all `common` rooms. */
  #page(common: number, start: number, limit: number): void {
    const { rooms } = this;
    const below = start === 0 ? 0 : lowerBound(rooms, 0, common, start);
    if (below > 0) rooms.copyWithin(0, below, common);
    this.count = common;
    this.beyond = common - below;
    this.taken = Math.min(limit, this.beyond);
  }

  #runWithBitmap(run: number, bitmap: Bitmap, start: number, limit: number): void {
    const view = this.#left;
    this.#sets.runs.open(run, view);
    if (view.count <= probeCountMax) {
      let common = 0;
      for (let index = view.start; index < view.start + view.count; index += 1) {
        if (bitmap.has(view.words[index])) this.rooms[common++] = view.words[index];
      }
      this.#page(common, start, limit);
      return;
    }
    const common = bitmapOf(view.words.subarray(view.start, view.start + view.count));
    common.andInPlace(bitmap);
    this.#fromBitmap(common, start, limit);
    common.dispose();
  }

  #twoBitmaps(left: Bitmap, right: Bitmap, start: number, limit: number): void {
    if (start === 0 && this.#firstOfTwo(left, right, limit)) return;
    const common = bitmapIntersection(left, right);
    this.#fromBitmap(common, start, limit);
    common.dispose();
  }

  /**
   * The first page of two bitmaps without their whole intersection: the rooms are counted, then the first members of the smaller
   * one are looked up in the larger one. Two bots share most of their rooms, and each whole intersection would be 100 kB of
   * native memory that the garbage collector has to free.
   * @returns false when the page is not full after `firstProbesMax` members
   */
  #firstOfTwo(left: Bitmap, right: Bitmap, limit: number): boolean {
    if (limit > firstProbesMax) return false;
    const [small, large] = left.size <= right.size ? [left, right] : [right, left];
    const count = left.andCardinality(right);
    const wanted = Math.min(limit, count);
    let taken = 0;
    for (let rank = 0; taken < wanted && rank < firstProbesMax; rank += probed.length) {
      const members = bitmapCopy(small, rank, probed.length, probed);
      for (let index = 0; index < members && taken < wanted; index += 1)
        if (large.has(probed[index])) this.rooms[taken++] = probed[index];
    }
    if (taken < wanted) return false;
    this.count = count;
    this.beyond = count;
    this.taken = taken;
    return true;
  }

  #fromBitmap(common: Bitmap, start: number, limit: number): void {
    const below = bitmapRank(common, start);
    this.count = common.size;
    this.beyond = this.count - below;
    this.taken = bitmapCopy(common, below, Math.min(limit, this.beyond), this.rooms);
  }

  /** @param order bitmaps only */
  #manyBitmaps(order: Uint32Array, start: number, limit: number): void {
    const sets = this.#sets;
    if (order.length === 1) {
      this.#fromBitmap(sets.bitmap(order[0]), start, limit);
      return;
    }
    const common = bitmapIntersection(sets.bitmap(order[0]), sets.bitmap(order[1]));
    for (let index = 2; index < order.length; index += 1) common.andInPlace(sets.bitmap(order[index]));
    this.#fromBitmap(common, start, limit);
    common.dispose();
  }

  /** @param order a packed set first, then any */
  #manyFromRun(order: Uint32Array, start: number, limit: number): void {
    const sets = this.#sets;
    const candidates = this.rooms;
    sets.runs.open(order[0], this.#left);
    const { words, start: from, count } = this.#left;
    for (let index = 0; index < count; index += 1) candidates[index] = words[from + index];
    let kept = count;
    for (let index = 1; index < order.length && kept > 0; index += 1) {
      const end = kept;
      kept = 0;
      for (let candidate = 0; candidate < end; candidate += 1) {
        if (sets.has(order[index], candidates[candidate])) candidates[kept++] = candidates[candidate];
      }
    }
    this.#page(kept, start, limit);
  }

  #anyOfRunInBitmap(run: number, bitmap: Bitmap): boolean {
    const view = this.#left;
    this.#sets.runs.open(run, view);
    const { words, start, count } = view;
    // Two users in very many rooms nearly always share one of the first.
    const probed = count > probeCountMax ? probeCountFirst : count;
    for (let index = start; index < start + probed; index += 1) if (bitmap.has(words[index])) return true;
    if (probed === count) return false;
    const rooms = bitmapOf(words.subarray(start + probed, start + count));
    const found = rooms.intersects(bitmap);
    rooms.dispose();
    return found;
  }
}
