/**
 * Intersections of the room sets of n users: make one page of it with the exact total, or answer yes or no.
 *
 * Sets of n users are taken packed ones first, then from the smallest up. The total counts every common room; `rooms` holds only those from
 * `start` on, at most `limit`, ascending. With one user the intersection is the set itself.
 *
 * Cost: packed with packed is a merge or, past `gallopRatio`, a search a member of the shorter one; packed with bitmap
 * at most one native intersection; bitmap with bitmap is Roaring's own. Nothing is allocated unless a bitmap is made.
 */
import { assert } from '../base/assert.js';
import { roomsPerPageMax, usersPerQuestionMax } from '../base/limits.js';
import { bitmapCopy, bitmapIntersection, bitmapOf, bitmapRank, type Bitmap } from './bitmap.js';
import { RunView, lowerBound } from './packed-runs.js';
import { emptySet, type RoomSets } from './room-sets.js';
import { gallopRatio, packedCountMax, probeCountMax } from './thresholds.js';

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
  readonly #candidates = new Uint32Array(packedCountMax);
  readonly #order = new Uint32Array(usersPerQuestionMax);

  constructor(sets: RoomSets) {
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
      if (this.#left.count <= this.#right.count) this.#twoRuns(this.#left, this.#right, start, limit);
      else this.#twoRuns(this.#right, this.#left, start, limit);
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
    if (sets.isBitmap(left)) {
      if (sets.isBitmap(right)) return sets.bitmap(left).intersects(sets.bitmap(right));
      return this.#anyOfRunInBitmap(right, sets.bitmap(left));
    }
    if (sets.isBitmap(right)) return this.#anyOfRunInBitmap(left, sets.bitmap(right));
    sets.runs.open(left, this.#left);
    sets.runs.open(right, this.#right);
    return this.#left.count <= this.#right.count
      ? anyOfTwoRuns(this.#left, this.#right)
      : anyOfTwoRuns(this.#right, this.#left);
  }

  #reset(limit: number): void {
    assert(limit <= roomsPerPageMax, 'a page holds at most roomsPerPageMax rooms');
    this.count = 0;
    this.beyond = 0;
    this.taken = 0;
  }

  #found(room: number, start: number, limit: number): void {
    this.count += 1;
    if (room < start) return;
    this.beyond += 1;
    if (this.taken < limit) {
      this.rooms[this.taken] = room;
      this.taken += 1;
    }
  }

  /** @param small the one with no more members than `large` */
  #twoRuns(small: RunView, large: RunView, start: number, limit: number): void {
    if (small.count * gallopRatio < large.count) {
      let from = 0;
      for (let index = 0; index < small.count && from < large.count; index += 1) {
        const room = small.words[small.start + index];
        from += lowerBound(large.words, large.start + from, large.count - from, room);
        if (from < large.count && large.words[large.start + from] === room) this.#found(room, start, limit);
      }
      return;
    }
    const left = small.words;
    const right = large.words;
    let at = small.start;
    let other = large.start;
    const end = at + small.count;
    const otherEnd = other + large.count;
    while (at < end && other < otherEnd) {
      const room = left[at];
      const otherRoom = right[other];
      if (room === otherRoom) this.#found(room, start, limit);
      if (room <= otherRoom) at += 1;
      if (otherRoom <= room) other += 1;
    }
  }

  #runWithBitmap(run: number, bitmap: Bitmap, start: number, limit: number): void {
    const view = this.#left;
    this.#sets.runs.open(run, view);
    if (view.count <= probeCountMax) {
      for (let index = view.start; index < view.start + view.count; index += 1) {
        if (bitmap.has(view.words[index])) this.#found(view.words[index], start, limit);
      }
      return;
    }
    const common = bitmapOf(view.words.subarray(view.start, view.start + view.count));
    common.andInPlace(bitmap);
    this.#fromBitmap(common, start, limit);
    common.dispose();
  }

  #twoBitmaps(left: Bitmap, right: Bitmap, start: number, limit: number): void {
    if (limit === 0 && start === 0) {
      this.count = left.andCardinality(right);
      this.beyond = this.count;
      return;
    }
    const common = bitmapIntersection(left, right);
    this.#fromBitmap(common, start, limit);
    common.dispose();
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
    const candidates = this.#candidates;
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
    for (let index = 0; index < kept; index += 1) this.#found(candidates[index], start, limit);
  }

  #anyOfRunInBitmap(run: number, bitmap: Bitmap): boolean {
    const view = this.#left;
    this.#sets.runs.open(run, view);
    if (view.count > probeCountMax) {
      const rooms = bitmapOf(view.words.subarray(view.start, view.start + view.count));
      const found = rooms.intersects(bitmap);
      rooms.dispose();
      return found;
    }
    for (let index = view.start; index < view.start + view.count; index += 1) {
      if (bitmap.has(view.words[index])) return true;
    }
    return false;
  }
}

/** @param small the one with no more members than `large` */
function anyOfTwoRuns(small: RunView, large: RunView): boolean {
  if (small.count * gallopRatio < large.count) {
    let from = 0;
    for (let index = 0; index < small.count && from < large.count; index += 1) {
      const room = small.words[small.start + index];
      from += lowerBound(large.words, large.start + from, large.count - from, room);
      if (from < large.count && large.words[large.start + from] === room) return true;
    }
    return false;
  }
  let at = small.start;
  let other = large.start;
  const end = at + small.count;
  const otherEnd = other + large.count;
  while (at < end && other < otherEnd) {
    const room = small.words[at];
    const otherRoom = large.words[other];
    if (room === otherRoom) return true;
    if (room < otherRoom) at += 1;
    else other += 1;
  }
  return false;
}
