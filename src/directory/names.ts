/**
 * Names by number, off the heap and in shared memory: written by one `Interner`, read by any thread.
 *
 * The bytes lie in an arena of chunks that never move; a second set of chunks holds each number's position in it. Only new
 * chunks travel between threads (publication.ts). A number is given away after its name was written, so a reader that got
 * the number and looked for new chunks since (`renew`) sees the name.
 *
 * A name is stored as encoder.ts lays it out, whole words, with one bit of its length saying whether JSON must escape it.
 * Numbers are `lane * 2^laneBits + sequence`: users have one lane, rooms have one for each partition.
 *
 * Cost: the name + 6 bytes, rounded up to a word; two dependent loads to reach it.
 */
import { assert } from '../base/assert.js';
import { PublicError } from '../base/errors.js';
import { headerBytes, wordsOf } from './encoder.js';
import { Publisher, Subscriber, type Subscription } from './publication.js';

const arenaChunkBits = 18;
const arenaChunkWords = 2 ** arenaChunkBits;
/** Positions are 32 bits and count words: 16 GiB. */
const arenaWordsMax = 2 ** 32;
/** Names of the chunks of positions: many lanes have small ones, a single lane has large ones and few of them. */
const laneChunkBitsOfMany = 10;
const laneChunkBitsOfOne = 16;

export const lengthMask = 0x7fff;
export const escapeFlag = 0x8000;
const quote = 0x22;
/** What JSON makes of one byte at most: `\u0000`. */
const escapedBytesMax = 6;

/** A piece of growth, as it travels to the readers. `lane` is -1 for a chunk of the arena. */
interface NameChunk {
  readonly lane: number;
  readonly memory: SharedArrayBuffer;
}

/** What a reader in another thread begins with: `Names.open` takes it. */
export interface NamesSubscription {
  readonly laneBits: number;
  readonly laneCounts: Uint32Array;
  readonly growth: Subscription<NameChunk>;
}

export class Names {
  readonly #words: Uint32Array[] = [];
  /** The same memory. */
  readonly #bytes: Buffer[] = [];
  readonly #lanes: Uint32Array[][];
  readonly #laneBits: number;
  readonly #sequenceMask: number;
  readonly #laneCounts: Uint32Array;
  readonly #laneChunkBits: number;
  readonly #laneChunkMask: number;
  /** Powers of two worked out once: `**` of what is no constant is a call into libm, a third of what an `append` took. */
  readonly #laneNumbers: number;
  readonly #laneChunkNumbers: number;
  #arenaEnd = 0;
  /** All growth so far, in order. */
  readonly #chunks: NameChunk[] = [];
  readonly #publisher = new Publisher<NameChunk>();
  /** Of a reader. */
  #subscriber: Subscriber<NameChunk> | undefined;

  /** The names that another thread writes, as `subscribe` gave them. */
  static open({ laneBits, laneCounts, growth }: NamesSubscription): Names {
    const names = new Names(laneCounts.length, laneBits, laneCounts);
    names.#subscriber = new Subscriber(growth, (chunk) => names.#attach(chunk));
    return names;
  }

  constructor(
    laneCount: number,
    laneBits: number,
    laneCounts: Uint32Array = new Uint32Array(new SharedArrayBuffer(laneCount * 4)),
  ) {
    assert(laneCount * 2 ** laneBits <= 2 ** 31, 'numbers stay below 2^31');
    this.#lanes = Array.from({ length: laneCount }, () => []);
    this.#laneBits = laneBits;
    this.#sequenceMask = 2 ** laneBits - 1;
    this.#laneCounts = laneCounts;
    this.#laneChunkBits = laneCount === 1 ? laneChunkBitsOfOne : laneChunkBitsOfMany;
    this.#laneNumbers = 2 ** laneBits;
    this.#laneChunkNumbers = 2 ** this.#laneChunkBits;
    this.#laneChunkMask = this.#laneChunkNumbers - 1;
  }

  /** Writer's side: what a reader in another thread begins with; `growth.port` is to be transferred to it. */
  subscribe(): NamesSubscription {
    return {
      laneBits: this.#laneBits,
      laneCounts: this.#laneCounts,
      growth: this.#publisher.subscribe(this.#chunks.slice()),
    };
  }

  /** Reader's side: sees the names of all numbers that were given out before this call. */
  renew(): void {
    this.#subscriber?.renew();
  }

  /** Reader's side: gets no more of them. */
  close(): void {
    this.#subscriber?.close();
  }

  /**
   * Writer's side: appends the name that lies in `words` from `start` on, as `NameEncoder` left it there.
   * @returns its number
   * @throws PublicError FULL when the lane or the arena is; nothing has changed then
   */
  append(lane: number, words: Uint32Array, byteLength: number, needsEscape: boolean, start = 0): number {
    const sequence = this.#laneCounts[lane];
    // The last one is never given out: ids.ts says why for rooms.
    if (sequence === this.#sequenceMask) {
      throw new PublicError(
        'FULL',
        `all ${this.#sequenceMask} numbers of lane ${lane} are used; rebuild the index`,
      );
    }
    const size = wordsOf(byteLength);
    let at = this.#arenaEnd;
    // A name never straddles two chunks; the few words left in the old one stay unused.
    if (
      (at & (arenaChunkWords - 1)) + size > arenaChunkWords ||
      at === this.#words.length * arenaChunkWords
    ) {
      at = this.#words.length * arenaChunkWords;
      if (at + arenaChunkWords > arenaWordsMax)
        throw new PublicError('FULL', 'names use all 16 GiB there are for them');
      this.#grow({ lane: -1, memory: new SharedArrayBuffer(arenaChunkWords * 4) });
    }
    const positions = this.#lanes[lane];
    if (sequence === positions.length * this.#laneChunkNumbers) {
      this.#grow({ lane, memory: new SharedArrayBuffer(4 * this.#laneChunkNumbers) });
    }
    const chunk = this.#words[at >>> arenaChunkBits];
    const offset = at & (arenaChunkWords - 1);
    for (let index = 0; index < size; index += 1) chunk[offset + index] = words[start + index];
    if (needsEscape) chunk[offset] |= escapeFlag;
    positions[sequence >>> this.#laneChunkBits][sequence & this.#laneChunkMask] = at;
    // Last: a reader that counts it sees the name.
    Atomics.store(this.#laneCounts, lane, sequence + 1);
    this.#arenaEnd = at + size;
    return lane * this.#laneNumbers + sequence;
  }

  /** How many numbers a lane has given out. */
  countOf(lane: number): number {
    return Atomics.load(this.#laneCounts, lane);
  }

  /** Copies a name as it is stored, header and flag and all. @returns where it ends in `target` */
  copyTo(number: number, target: Uint32Array, at: number): number {
    const position = this.position(number);
    const chunk = this.#words[position >>> arenaChunkBits];
    const offset = position & (arenaChunkWords - 1);
    const size = wordsOf(chunk[offset] & lengthMask);
    for (let index = 0; index < size; index += 1) target[at + index] = chunk[offset + index];
    return at + size;
  }

  /** Where the name of a number is: what `equalsAt` takes. For looking many up together. */
  position(number: number): number {
    const sequence = number & this.#sequenceMask;
    return this.#lanes[number >>> this.#laneBits][sequence >>> this.#laneChunkBits][
      sequence & this.#laneChunkMask
    ];
  }

  /** Whether the name at a position is the one that `NameEncoder` left from `start` on. */
  equalsAt(position: number, words: Uint32Array, start: number, byteLength: number): boolean {
    const chunk = this.#words[position >>> arenaChunkBits];
    const offset = position & (arenaChunkWords - 1);
    if (((chunk[offset] ^ words[start]) & ~escapeFlag) !== 0) return false;
    const size = wordsOf(byteLength);
    for (let index = 1; index < size; index += 1) {
      if (chunk[offset + index] !== words[start + index]) return false;
    }
    return true;
  }

  text(number: number): string {
    return this.#textAt(this.position(number));
  }

  /** Whether JSON must escape the name at a position: as it was said when it was appended. */
  isEscapedAt(position: number): boolean {
    return (this.#words[position >>> arenaChunkBits][position & (arenaChunkWords - 1)] & escapeFlag) !== 0;
  }

  /** At most how many bytes `writeJsonAt` writes: as many as it does, unless something must be escaped. */
  jsonBytesMaxAt(position: number): number {
    const header = this.#words[position >>> arenaChunkBits][position & (arenaChunkWords - 1)];
    const length = header & lengthMask;
    return 2 + ((header & escapeFlag) === 0 ? length : length * escapedBytesMax);
  }

  /**
   * Writes the name at a position as a JSON string, quotes included, four bytes at a time: a byte at a time takes twice
   * as long.
   * @param target has room for `jsonBytesMaxAt` bytes and 3 more from `offset` on
   * @returns the offset after it
   */
  writeJsonAt(position: number, target: DataView, offset: number): number {
    const chunk = this.#words[position >>> arenaChunkBits];
    const at = position & (arenaChunkWords - 1);
    const first = chunk[at];
    if ((first & escapeFlag) !== 0) return this.#writeEscaped(position, target, offset);
    const length = first & lengthMask;
    target.setUint8(offset, quote);
    target.setUint16(offset + 1, first >>> 16, true);
    const end = at + wordsOf(length);
    let to = offset + 1 + 4 - headerBytes;
    for (let index = at + 1; index < end; index += 1) {
      target.setUint32(to, chunk[index], true);
      to += 4;
    }
    const after = offset + 1 + length;
    target.setUint8(after, quote);
    return after + 1;
  }

  #writeEscaped(position: number, target: DataView, offset: number): number {
    const escaped = Buffer.from(JSON.stringify(this.#textAt(position)));
    for (let index = 0; index < escaped.length; index += 1) target.setUint8(offset + index, escaped[index]);
    return offset + escaped.length;
  }

  /** Bytes of shared memory that the names take. */
  get bytes(): number {
    return this.#chunks.reduce((sum, chunk) => sum + chunk.memory.byteLength, 0);
  }

  #textAt(position: number): string {
    const chunk = this.#bytes[position >>> arenaChunkBits];
    const start = (position & (arenaChunkWords - 1)) * 4;
    const length = (chunk[start] | (chunk[start + 1] << 8)) & lengthMask;
    return chunk.toString('utf8', start + headerBytes, start + headerBytes + length);
  }

  #grow(chunk: NameChunk): void {
    this.#attach(chunk);
    this.#publisher.post(chunk);
  }

  #attach(chunk: NameChunk): void {
    if (chunk.lane === -1) {
      this.#words.push(new Uint32Array(chunk.memory));
      this.#bytes.push(Buffer.from(chunk.memory));
    } else this.#lanes[chunk.lane].push(new Uint32Array(chunk.memory));
    this.#chunks.push(chunk);
  }
}
