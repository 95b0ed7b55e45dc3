/**
 * Slots of one size, in chunks that never move: for what is small and comes in millions. Freed slots are chained through
 * their first word and used again, the last freed first.
 *
 * Cost: the slots, in chunks of about 64 KiB, and nothing beside them.
 */
const chunkWords = 2 ** 14;

export class Slab {
  /** Words of a slot. */
  readonly capacity: number;
  readonly #chunkBits: number;
  readonly #chunkMask: number;
  readonly #chunks: Uint32Array[] = [];
  /** Slot after the last one ever used. */
  #end = 0;
  /** First free slot + 1, or 0. */
  #free = 0;

  constructor(capacity: number) {
    this.capacity = capacity;
    this.#chunkBits = Math.floor(Math.log2(chunkWords / capacity));
    this.#chunkMask = 2 ** this.#chunkBits - 1;
  }

  /** The memory that a slot lies in, from `startOf` on. */
  chunkOf(slot: number): Uint32Array {
    return this.#chunks[slot >>> this.#chunkBits];
  }

  startOf(slot: number): number {
    return (slot & this.#chunkMask) * this.capacity;
  }

  /** A slot for use; what is in it is left over. */
  take(): number {
    if (this.#free !== 0) {
      const slot = this.#free - 1;
      this.#free = this.chunkOf(slot)[this.startOf(slot)];
      return slot;
    }
    const slot = this.#end;
    if (slot >>> this.#chunkBits === this.#chunks.length)
      this.#chunks.push(new Uint32Array(2 ** this.#chunkBits * this.capacity));
    this.#end += 1;
    return slot;
  }

  give(slot: number): void {
    this.chunkOf(slot)[this.startOf(slot)] = this.#free;
    this.#free = slot + 1;
  }

  /** Free slots included. */
  get bytes(): number {
    return this.#chunks.length * 2 ** this.#chunkBits * this.capacity * 4;
  }
}
