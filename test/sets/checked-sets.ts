/** Room sets beside the plainest ones: every change is made to both, and then both must say the same. */
import { expect } from 'vitest';
import { roomNoEnd } from '../../src/base/ids.js';
import { RunView } from '../../src/sets/packed-runs.js';
import { RoomSets, emptySet } from '../../src/sets/room-sets.js';
import { packedCountMax, packedCountMin } from '../../src/sets/thresholds.js';
import type { Random } from '../model/random.js';

/** Sizes about which a set changes its form. */
export const borders = [packedCountMin, packedCountMax].flatMap((count) => [
  count - 1,
  count,
  count + 1,
  count + 2,
]);
/** These, and those about which a packed set changes its class. */
export const sizes = [
  0,
  1,
  2,
  3,
  4,
  5,
  6,
  7,
  8,
  9,
  12,
  13,
  17,
  24,
  33,
  48,
  65,
  97,
  128,
  193,
  ...borders,
  packedCountMax + 90,
];

/** Members of a set in the order in which it keeps them. */
export function membersOf(sets: RoomSets, handle: number): number[] {
  if (handle === emptySet) return [];
  if (sets.isBitmap(handle)) return [...sets.bitmap(handle)];
  const view = new RunView();
  sets.runs.open(handle, view);
  return Array.from(view.words.subarray(view.start, view.start + view.count));
}

/** A handle of distinct rooms, made one by one. */
export function setOf(sets: RoomSets, rooms: Iterable<number>): number {
  let handle: number = emptySet;
  for (const room of rooms) {
    const next = sets.add(handle, room);
    if (next !== -1) handle = next;
  }
  return handle;
}

/** The room that a small index stands for: all partitions, with neighbours and both ends of the number range. */
export function roomAt(index: number): number {
  return index < 2 ? index * (2 ** 31 - 2) : (index % 64) * 2 ** 25 + (index >>> 6);
}

export class CheckedSets {
  readonly sets = new RoomSets();
  readonly handles: number[];
  readonly oracles: Set<number>[];
  /** Changes made so far. */
  steps = 0;

  constructor(setCount: number) {
    this.handles = new Array<number>(setCount).fill(emptySet);
    this.oracles = Array.from({ length: setCount }, () => new Set<number>());
  }

  add(at: number, room: number): void {
    const isNew = !this.oracles[at].has(room);
    const wasBitmap = this.sets.isBitmap(this.handles[at]);
    const next = this.sets.add(this.handles[at], room);
    this.oracles[at].add(room);
    this.#check(at, next, isNew, wasBitmap, room);
  }

  remove(at: number, room: number): void {
    const isNew = this.oracles[at].has(room);
    const wasBitmap = this.sets.isBitmap(this.handles[at]);
    const next = this.sets.remove(this.handles[at], room);
    this.oracles[at].delete(room);
    this.#check(at, next, isNew, wasBitmap, room);
  }

  /** Appends rooms above those that are there, some close together and some far apart: as many as there are, at most. */
  append(at: number, count: number, random: Random): void {
    const oracle = this.oracles[at];
    const wasBitmap = this.sets.isBitmap(this.handles[at]);
    const rooms: number[] = [];
    const last = Math.max(-1, ...oracle);
    for (
      let room = last + 1 + random(9);
      rooms.length < count && room < roomNoEnd;
      room += 1 + random(99_999)
    )
      rooms.push(room);
    // Behind them lies what was read before.
    const next = this.sets.append(this.handles[at], Uint32Array.from([...rooms, 7]), rooms.length);
    for (const room of rooms) oracle.add(room);
    this.#check(at, next, true, wasBitmap, last + 1);
  }

  release(at: number): void {
    this.sets.release(this.handles[at]);
    this.handles[at] = emptySet;
    this.oracles[at].clear();
    this.steps += 1;
  }

  /** Adds rooms below `roomEnd`, or takes random members out, until the set has `count`. */
  resize(at: number, count: number, roomEnd: number, random: Random): void {
    const oracle = this.oracles[at];
    while (oracle.size < count) this.add(at, roomAt(random(roomEnd)));
    const members = [...oracle];
    while (oracle.size > count) {
      const chosen = random(members.length);
      this.remove(at, members[chosen]);
      members[chosen] = members[members.length - 1];
      members.pop();
    }
  }

  /** Every set has exactly its oracle's members, in ascending order. */
  expectMembers(): void {
    for (const [at, oracle] of this.oracles.entries()) {
      const expected = [...oracle].sort((left, right) => left - right);
      expect(membersOf(this.sets, this.handles[at])).toEqual(expected);
    }
    expect(this.sets.bitmapCount).toBe(this.handles.filter((handle) => this.sets.isBitmap(handle)).length);
  }

  #check(at: number, next: number, isNew: boolean, wasBitmap: boolean, room: number): void {
    const { sets } = this;
    const { size } = this.oracles[at];
    const known = (next === -1) !== isNew;
    if (next !== -1) this.handles[at] = next;
    const handle = this.handles[at];
    this.steps += 1;
    // One comparison a step: `expect` costs more than the step itself.
    const isBitmap = wasBitmap ? size >= packedCountMin : size > packedCountMax;
    const faults = [
      known ? undefined : `step ${this.steps} of room ${room} was ${isNew ? 'not ' : ''}news`,
      sets.fault(handle),
      sets.count(handle) === size ? undefined : `count is ${sets.count(handle)}, not ${size}`,
      sets.has(handle, room) === this.oracles[at].has(room) ? undefined : `has(${room}) is wrong`,
      sets.isBitmap(handle) === isBitmap ? undefined : `form of ${size} members is wrong`,
      (handle === emptySet) === (size === 0) ? undefined : 'only the empty set is handle 0',
    ].filter((fault) => fault !== undefined);
    if (faults.length > 0) expect.fail(faults.join('; '));
  }
}
