/**
 * Names by number, off the heap and in shared memory: written by one `Interner`, read by any thread.
 *
 * The bytes lie in an arena of chunks that never move; a second set of chunks holds each number's position in it. Only
 * growth travels between threads (`chunks`, `adopt`); the message that carries a number is posted after the number's
 * name was written, so a reader that got the number sees the name.
 *
 * A name is stored as two bytes (15 bits of length, one that says whether JSON must escape it), then its UTF-8.
 * Numbers are `lane * 2^laneBits + sequence`: users have one lane, rooms have one for each partition.
 *
 * Cost: the name + 6 bytes; two dependent loads to reach it.
 */
import { assert } from '../base/assert.js';
import { PublicError } from '../base/errors.js';

const arenaChunkBits = 20;
const arenaChunkBytes = 2 ** arenaChunkBits;
const arenaBytesMax = 2 ** 32;
const laneChunkBits = 10;
const laneChunkNames = 2 ** laneChunkBits;

const lengthMask = 0x7fff;
const escapeFlag = 0x8000;
const headerBytes = 2;

/** A piece of growth, as it travels to the readers. `lane` is -1 for a chunk of the arena. */
export interface NameChunk {
  readonly lane: number;
  readonly memory: SharedArrayBuffer;
}

export class Names {
  readonly #arena: Buffer[] = [];
  readonly #lanes: Uint32Array[][];
  readonly #laneBits: number;
  readonly #sequenceMask: number;
  readonly #laneCounts: Uint32Array;
  #arenaEnd = 0;

  /** All growth so far, in order: what a reader adopts to see every name. */
  readonly chunks: NameChunk[] = [];

  constructor(laneCount: number, laneBits: number) {
    assert(laneCount * 2 ** laneBits <= 2 ** 31, 'numbers stay below 2^31');
    this.#lanes = Array.from({ length: laneCount }, () => []);
    this.#laneBits = laneBits;
    this.#sequenceMask = 2 ** laneBits - 1;
    this.#laneCounts = new Uint32Array(laneCount);
  }

  /** Reader's side: takes over chunks that the writer has made since the last call. */
  adopt(chunks: readonly NameChunk[]): void {
    for (const chunk of chunks) this.#attach(chunk);
  }

  /**
   * Writer's side: appends a name to a lane.
   * @returns its number
   * @throws PublicError FULL when the lane or the arena is; nothing has changed then
   */
  append(lane: number, bytes: Uint8Array, length: number, needsEscape: boolean): number {
    const sequence = this.#laneCounts[lane];
    // The last one is never given out: ids.ts says why for rooms.
    if (sequence === this.#sequenceMask) {
      throw new PublicError(
        'FULL',
        `all ${this.#sequenceMask} numbers of lane ${lane} are used; rebuild the index`,
      );
    }
    const size = headerBytes + length;
    let at = this.#arenaEnd;
    // A name never straddles two chunks; the few bytes left in the old one stay unused.
    if (
      (at & (arenaChunkBytes - 1)) + size > arenaChunkBytes ||
      at === this.#arena.length * arenaChunkBytes
    ) {
      at = this.#arena.length * arenaChunkBytes;
      if (at + arenaChunkBytes > arenaBytesMax)
        throw new PublicError('FULL', 'names use all 4 GiB there are for them');
      this.#attach({ lane: -1, memory: new SharedArrayBuffer(arenaChunkBytes) });
    }
    const positions = this.#lanes[lane];
    if (sequence === positions.length * laneChunkNames) {
      this.#attach({ lane, memory: new SharedArrayBuffer(laneChunkNames * 4) });
    }
    const chunk = this.#arena[at >>> arenaChunkBits];
    let offset = at & (arenaChunkBytes - 1);
    const header = length | (needsEscape ? escapeFlag : 0);
    chunk[offset] = header & 0xff;
    chunk[offset + 1] = header >>> 8;
    offset += headerBytes;
    for (let index = 0; index < length; index += 1) chunk[offset + index] = bytes[index];
    positions[sequence >>> laneChunkBits][sequence & (laneChunkNames - 1)] = at;
    this.#laneCounts[lane] = sequence + 1;
    this.#arenaEnd = at + size;
    return lane * 2 ** this.#laneBits + sequence;
  }

  equals(number: number, bytes: Uint8Array, length: number): boolean {
    const at = this.#position(number);
    const chunk = this.#arena[at >>> arenaChunkBits];
    const offset = at & (arenaChunkBytes - 1);
    if (((chunk[offset] | (chunk[offset + 1] << 8)) & lengthMask) !== length) return false;
    const start = offset + headerBytes;
    for (let index = 0; index < length; index += 1) {
      if (chunk[start + index] !== bytes[index]) return false;
    }
    return true;
  }

  text(number: number): string {
    const at = this.#position(number);
    const chunk = this.#arena[at >>> arenaChunkBits];
    const start = (at & (arenaChunkBytes - 1)) + headerBytes;
    return chunk.toString('utf8', start, start + this.#lengthAt(at));
  }

  /**
   * Writes the name as a JSON string, quotes included.
   * @returns the offset after it, or -1 when `target` has no room left; nothing valid is written then
   */
  writeJson(number: number, target: Uint8Array, offset: number): number {
    const at = this.#position(number);
    const chunk = this.#arena[at >>> arenaChunkBits];
    const start = at & (arenaChunkBytes - 1);
    if ((chunk[start + 1] & (escapeFlag >>> 8)) !== 0) {
      const escaped = Buffer.from(JSON.stringify(this.text(number)));
      if (offset + escaped.length > target.length) return -1;
      target.set(escaped, offset);
      return offset + escaped.length;
    }
    const length = chunk[start] | (chunk[start + 1] << 8);
    if (offset + length + 2 > target.length) return -1;
    const from = start + headerBytes;
    target[offset] = 0x22;
    const to = offset + 1;
    for (let index = 0; index < length; index += 1) target[to + index] = chunk[from + index];
    target[to + length] = 0x22;
    return to + length + 1;
  }

  /** Bytes of shared memory that the names take. */
  get bytes(): number {
    return this.chunks.reduce((sum, chunk) => sum + chunk.memory.byteLength, 0);
  }

  #attach(chunk: NameChunk): void {
    if (chunk.lane === -1) this.#arena.push(Buffer.from(chunk.memory));
    else this.#lanes[chunk.lane].push(new Uint32Array(chunk.memory));
    this.chunks.push(chunk);
  }

  #position(number: number): number {
    const sequence = number & this.#sequenceMask;
    return this.#lanes[number >>> this.#laneBits][sequence >>> laneChunkBits][
      sequence & (laneChunkNames - 1)
    ];
  }

  #lengthAt(at: number): number {
    const chunk = this.#arena[at >>> arenaChunkBits];
    const offset = at & (arenaChunkBytes - 1);
    return (chunk[offset] | (chunk[offset + 1] << 8)) & lengthMask;
  }
}
