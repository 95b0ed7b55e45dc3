/**
 * Names written one behind the other as JSON strings with commas between them: `"!a:x","!b:y"`. What answers are put
 * together from; the memory is kept for the next list, so that a page allocates nothing.
 *
 * Names lie all over memory. They are gone through three times: where they are, how long they are, and then they are
 * copied. In the first two passes no name waits for another one's cache miss, and the third finds them in the cache: a
 * page of 100 takes half the time that it takes one by one.
 */
import { roomsPerPageMax, scratchBytesMax } from '../base/limits.js';
import type { Names } from './names.js';

const bytesAtFirst = 16 * 1024;
/** Names are written in whole words: up to three bytes behind the last one are written too. */
const bytesBeyond = 3;
const comma = 0x2c;

export class JsonList {
  /** Valid up to `end`, until the next call. */
  bytes = new Uint8Array(bytesAtFirst);
  #view = new DataView(this.bytes.buffer);
  end = 0;
  /** Where each name of the last `add` ends. */
  readonly ends = new Uint32Array(roomsPerPageMax);
  readonly #positions = new Uint32Array(roomsPerPageMax);
  readonly #names: Names;

  constructor(names: Names) {
    this.#names = names;
  }

  /** Starts anew; gives back what an unusually large list needed. */
  clear(): void {
    this.end = 0;
    if (this.bytes.length > scratchBytesMax) this.#use(new Uint8Array(scratchBytesMax));
  }

  /** Adds a list behind the ones before. @param numbers the first `count` of them, at most `roomsPerPageMax` */
  add(numbers: Uint32Array, count: number): void {
    const names = this.#names;
    const positions = this.#positions;
    for (let index = 0; index < count; index += 1) positions[index] = names.position(numbers[index]);
    let bytesMax = 0;
    for (let index = 0; index < count; index += 1) bytesMax += 1 + names.jsonBytesMaxAt(positions[index]);
    this.#reserve(bytesMax);
    const { ends } = this;
    const view = this.#view;
    let at = this.end;
    for (let index = 0; index < count; index += 1) {
      if (index > 0) view.setUint8(at++, comma);
      at = names.writeJsonAt(positions[index], view, at);
      ends[index] = at;
    }
    this.end = at;
  }

  #reserve(bytes: number): void {
    const needed = this.end + bytes + bytesBeyond;
    if (needed <= this.bytes.length) return;
    const larger = new Uint8Array(Math.max(needed, this.bytes.length * 2));
    larger.set(this.bytes.subarray(0, this.end));
    this.#use(larger);
  }

  #use(bytes: Uint8Array<ArrayBuffer>): void {
    this.bytes = bytes;
    this.#view = new DataView(bytes.buffer);
  }
}
