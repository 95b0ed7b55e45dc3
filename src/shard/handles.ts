/**
 * User -> handle of a room set (sets/packed-runs.ts), in one of two forms; 0 is the empty set, and what everybody begins with.
 *
 * Dense is an array: 4 bytes a user, one load. It is for whoever has all rooms, since nearly every user is joined there.
 * Sparse is for shards: of their many users most are in one to three rooms, so in most shards in none. Groups of 16 users
 * have a mask of who is there, and a slot with as many handles as the mask has bits: about half a byte a user and 4 bytes
 * for each who is there, and one load more. Of ten million users, four shards would take 160 MB of handles densely kept.
 */
import { Slab } from '../sets/slab.js';

export interface Handles {
  get(user: number): number;
  set(user: number, handle: number): void;
  /** One past the highest user that ever had a handle, or some more. */
  readonly end: number;
  readonly bytes: number;
}

const chunkBits = 12;
const chunkUsers = 2 ** chunkBits;

export class DenseHandles implements Handles {
  readonly #chunks: (Uint32Array | undefined)[] = [];

  get(user: number): number {
    const chunk = this.#chunks[user >>> chunkBits];
    return chunk === undefined ? 0 : chunk[user & (chunkUsers - 1)];
  }

  set(user: number, handle: number): void {
    const index = user >>> chunkBits;
    while (this.#chunks.length <= index) this.#chunks.push(undefined);
    const chunk = (this.#chunks[index] ??= new Uint32Array(chunkUsers));
    chunk[user & (chunkUsers - 1)] = handle;
  }

  get end(): number {
    return this.#chunks.length * chunkUsers;
  }

  get bytes(): number {
    return this.#chunks.filter((chunk) => chunk !== undefined).length * chunkUsers * 4;
  }
}

const groupBits = 4;
const groupUsers = 2 ** groupBits;

export class SparseHandles implements Handles {
  /** Two words a group: the mask, and the slot in the slab of as many handles as it has bits. */
  readonly #groups: (Uint32Array | undefined)[] = [];
  readonly #slabs = Array.from({ length: groupUsers }, (_, index) => new Slab(index + 1));

  get(user: number): number {
    const groups = this.#groups[user >>> chunkBits];
    if (groups === undefined) return 0;
    const at = ((user & (chunkUsers - 1)) >>> groupBits) * 2;
    const mask = groups[at];
    const bit = 1 << (user & (groupUsers - 1));
    if ((mask & bit) === 0) return 0;
    const slab = this.#slabs[bitCount(mask) - 1];
    const slot = groups[at + 1];
    return slab.chunkOf(slot)[slab.startOf(slot) + bitCount(mask & (bit - 1))];
  }

  set(user: number, handle: number): void {
    const groups = this.#groupsOf(user >>> chunkBits);
    const at = ((user & (chunkUsers - 1)) >>> groupBits) * 2;
    const mask = groups[at];
    const bit = 1 << (user & (groupUsers - 1));
    const place = bitCount(mask & (bit - 1));
    const count = bitCount(mask);
    const isThere = (mask & bit) !== 0;
    if (isThere && handle !== 0) {
      const slab = this.#slabs[count - 1];
      const slot = groups[at + 1];
      slab.chunkOf(slot)[slab.startOf(slot) + place] = handle;
      return;
    }
    if (isThere === (handle !== 0)) return;
    const nextCount = isThere ? count - 1 : count + 1;
    const nextSlot = nextCount === 0 ? 0 : this.#slabs[nextCount - 1].take();
    if (nextCount > 0) this.#move(groups[at + 1], count, nextSlot, nextCount, place, handle);
    if (count > 0) this.#slabs[count - 1].give(groups[at + 1]);
    groups[at] = mask ^ bit;
    groups[at + 1] = nextSlot;
  }

  get end(): number {
    return this.#groups.length * chunkUsers;
  }

  get bytes(): number {
    const chunks = this.#groups.filter((chunk) => chunk !== undefined).length;
    return this.#slabs.reduce((sum, slab) => sum + slab.bytes, chunks * (chunkUsers / groupUsers) * 8);
  }

  /** Copies a group's handles to its next slot, with one more or one fewer at `place`. */
  #move(
    slot: number,
    count: number,
    nextSlot: number,
    nextCount: number,
    place: number,
    handle: number,
  ): void {
    const next = this.#slabs[nextCount - 1];
    const target = next.chunkOf(nextSlot);
    const to = next.startOf(nextSlot);
    if (nextCount > count) target[to + place] = handle;
    if (count === 0) return;
    const slab = this.#slabs[count - 1];
    const source = slab.chunkOf(slot);
    const from = slab.startOf(slot);
    for (let index = 0; index < place; index += 1) target[to + index] = source[from + index];
    const skipped = nextCount > count ? 0 : 1;
    for (let index = place + skipped; index < count; index += 1)
      target[to + index + nextCount - count] = source[from + index];
  }

  #groupsOf(index: number): Uint32Array {
    while (this.#groups.length <= index) this.#groups.push(undefined);
    return (this.#groups[index] ??= new Uint32Array((chunkUsers / groupUsers) * 2));
  }
}

/** Bits set in the low 16 of a word. */
function bitCount(word: number): number {
  let bits = word - ((word >>> 1) & 0x5555);
  bits = (bits & 0x3333) + ((bits >>> 2) & 0x3333);
  bits = (bits + (bits >>> 4)) & 0x0f0f;
  return (bits + (bits >>> 8)) & 0x1f;
}
