/**
 * Roaring's portable serialization (RoaringFormatSpec), to and from sorted words: how room sets lie in the store, so that
 * any program with a Roaring library can read them. In TypeScript, because a typical set has one to ten rooms, and a call
 * into native code and the wrapper that it makes take longer than all of this.
 *
 * A set is its containers, one for each 65,536 values: a cookie, how many containers there are, key and count - 1 of each,
 * where each begins, and then their values: two bytes each, or 8 KiB of bits when they are more than 4,096. There are no
 * containers of runs: `cookie` says so, and nobody here writes them.
 *
 * Bytes may begin anywhere, so they are read one by one: a `DataView` for each set would cost more than that.
 * Cost: about 10 ns a room that has a container for itself, as is usual; 15 to write it (`npm run bench -- portable`).
 */
import { assert } from '../base/assert.js';

/** No containers of runs. */
const cookie = 12346;
const headBytes = 8;
/** Of a container's head: its key and its count - 1, and where its values begin. */
const describedBytes = 4;
const offsetBytes = 4;
const containerHeadBytes = describedBytes + offsetBytes;
/** More values than this are bits. */
const arrayCountMax = 4096;
const bitsBytes = 8192;
const containerBits = 16;
const containerValues = 2 ** containerBits;
/** Keys of the containers of rooms, which are below 2^31. */
const keysEnd = 2 ** 15;

/** The bytes are no set in the portable form. */
export class PortableFault extends Error {
  override name = 'PortableFault';
}

function valueBytes(count: number): number {
  return count > arrayCountMax ? bitsBytes : count * 2;
}

/** Where the rooms of the container that begins at `from` end. */
function containerEnd(rooms: Uint32Array, from: number, end: number): number {
  const key = rooms[from] >>> containerBits;
  let at = from + 1;
  while (at < end && rooms[at] >>> containerBits === key) at += 1;
  return at;
}

/** Bytes that a set takes. @param rooms from `start` on, `count` of them, ascending and distinct */
export function portableBytes(rooms: Uint32Array, start: number, count: number): number {
  const end = start + count;
  let bytes = headBytes;
  for (let at = start; at < end;) {
    const next = containerEnd(rooms, at, end);
    bytes += containerHeadBytes + valueBytes(next - at);
    at = next;
  }
  return bytes;
}

/** @returns the offset after it. `target` has room for `portableBytes` from `offset` on. */
export function writePortable(
  rooms: Uint32Array,
  start: number,
  count: number,
  target: Uint8Array,
  offset: number,
): number {
  const end = start + count;
  // First all heads, since how many there are says where the values begin; the counts are read back from them.
  let headsEnd = offset + headBytes;
  for (let at = start; at < end;) {
    const next = containerEnd(rooms, at, end);
    writeU16(target, headsEnd, rooms[at] >>> containerBits);
    writeU16(target, headsEnd + 2, next - at - 1);
    headsEnd += describedBytes;
    at = next;
  }
  const containers = (headsEnd - offset - headBytes) / describedBytes;
  writeU32(target, offset, cookie);
  writeU32(target, offset + 4, containers);
  let to = headsEnd + containers * offsetBytes;
  let at = start;
  for (let index = 0; index < containers; index += 1) {
    writeU32(target, headsEnd + index * offsetBytes, to - offset);
    const next = at + countAt(target, offset + index * describedBytes);
    if (next - at > arrayCountMax) {
      target.fill(0, to, to + bitsBytes);
      for (; at < next; at += 1) {
        const value = rooms[at] & (containerValues - 1);
        target[to + (value >>> 3)] |= 1 << (value & 7);
      }
      to += bitsBytes;
    } else {
      for (; at < next; at += 1, to += 2) writeU16(target, to, rooms[at] & (containerValues - 1));
    }
  }
  assert(to <= target.length, 'there is room for what was written');
  return to;
}

/** How many members the head promises. @throws PortableFault when it is no head, or promises other than there is */
export function portableCount(bytes: Uint8Array, length: number): number {
  const containers = containersOf(bytes, length);
  let count = 0;
  let end = headBytes + containers * containerHeadBytes;
  for (let index = 0; index < containers; index += 1) {
    const inContainer = countAt(bytes, index * describedBytes);
    count += inContainer;
    end += valueBytes(inContainer);
  }
  if (end !== length) throw wrongLength(end, length);
  return count;
}

/**
 * Writes the members from `firstRoom` to `endRoom` (not included; both are multiples of 65,536) into `target`, ascending.
 * The other containers are passed over by their heads.
 * @param bytes the first `length` of them
 * @param target has room for what `portableCount` tells
 * @returns how many
 * @throws PortableFault when the head is wrong or does not fit the rest. Of the values, only the number of set bits is checked,
 *   and not whether array values ascend
 */
export function readPortable(
  bytes: Uint8Array,
  length: number,
  firstRoom: number,
  endRoom: number,
  target: Uint32Array,
): number {
  assert(((firstRoom | endRoom) & (containerValues - 1)) === 0, 'a range of rooms is one of containers');
  const containers = containersOf(bytes, length);
  const firstKey = firstRoom >>> containerBits;
  const endKey = endRoom >>> containerBits;
  let at = headBytes + containers * containerHeadBytes;
  let previous = -1;
  let end = 0;
  for (let index = 0; index < containers; index += 1) {
    const head = index * describedBytes;
    const key = keyAt(bytes, head);
    const count = countAt(bytes, head);
    const next = at + valueBytes(count);
    if (key <= previous) throw outOfOrder(key, previous);
    // Before any value is read: what is promised beyond the end is not there.
    if (next > length) throw cutOff(key, next, length);
    previous = key;
    if (key >= firstKey && key < endKey) {
      const base = key << containerBits;
      if (count > arrayCountMax) end = readBits(bytes, at, base, target, end, count);
      else
        for (let from = at; from < next; from += 2)
          target[end++] = base | bytes[from] | (bytes[from + 1] << 8);
    }
    at = next;
  }
  if (previous >= keysEnd) throw aboveRooms(previous);
  if (at !== length) throw wrongLength(at, length);
  // A typed array silently drops what does not fit.
  assert(end <= target.length, 'there is room for what was read');
  return end;
}

/** The first fault of a whole set in words, or undefined: also what `readPortable` does not look at. */
export function portableFault(bytes: Uint8Array, length: number): string | undefined {
  try {
    portableCount(bytes, length);
  } catch (error) {
    if (error instanceof PortableFault) return error.message;
    throw error;
  }
  const containers = containersOf(bytes, length);
  let at = headBytes + containers * containerHeadBytes;
  let previous = -1;
  for (let index = 0; index < containers; index += 1) {
    const head = index * describedBytes;
    const key = keyAt(bytes, head);
    const count = countAt(bytes, head);
    if (key <= previous) return outOfOrder(key, previous).message;
    if (key >= keysEnd) return aboveRooms(key).message;
    const offset = u32At(bytes, headBytes + containers * describedBytes + index * offsetBytes);
    if (offset !== at) return misplaced(key, offset, at).message;
    const fault =
      count > arrayCountMax ? bitsFault(bytes, at, key, count) : arrayFault(bytes, at, key, count);
    if (fault !== undefined) return fault.message;
    previous = key;
    at += valueBytes(count);
  }
  return undefined;
}

// Faults are put into words in functions of their own. Inline, V8 moves the formatting of the number out of the branch that throws,
// and every container pays for it: three times what reading it takes.

function outOfOrder(key: number, previous: number): PortableFault {
  return new PortableFault(`container ${key} follows on ${previous}`);
}

function cutOff(key: number, end: number, length: number): PortableFault {
  return new PortableFault(`container ${key} ends at ${end} of ${length} bytes`);
}

function tooShort(length: number): PortableFault {
  return new PortableFault(`${length} bytes are no set`);
}

function wrongCookie(found: number): PortableFault {
  return new PortableFault(`it begins with ${found}, not with ${cookie}`);
}

function tooMany(containers: number, length: number): PortableFault {
  return new PortableFault(`${containers} containers do not fit in ${length} bytes`);
}

function wrongLength(promised: number, length: number): PortableFault {
  return new PortableFault(`its head promises ${promised} bytes, and there are ${length}`);
}

function wrongBits(key: number, found: number, count: number): PortableFault {
  return new PortableFault(`container ${key} holds ${found}, not ${count}`);
}

function misplaced(key: number, offset: number, at: number): PortableFault {
  return new PortableFault(`container ${key} is said to begin at ${offset}, not ${at}`);
}

function valueOutOfOrder(key: number, value: number, previous: number): PortableFault {
  return new PortableFault(`container ${key}: ${value} follows on ${previous}`);
}

function aboveRooms(key: number): PortableFault {
  return new PortableFault(`container ${key} is above every room`);
}

function containersOf(bytes: Uint8Array, length: number): number {
  assert(length <= bytes.length, 'as many bytes are there as are to be read');
  if (length < headBytes) throw tooShort(length);
  const found = u32At(bytes, 0);
  if (found !== cookie) throw wrongCookie(found);
  const containers = u32At(bytes, 4);
  if (containers > (length - headBytes) / containerHeadBytes) throw tooMany(containers, length);
  return containers;
}

/** @param head where the container is described, from the end of the set's head on */
function keyAt(bytes: Uint8Array, head: number): number {
  return bytes[headBytes + head] | (bytes[headBytes + head + 1] << 8);
}

/** The same. */
function countAt(bytes: Uint8Array, head: number): number {
  return (bytes[headBytes + head + 2] | (bytes[headBytes + head + 3] << 8)) + 1;
}

function readBits(
  bytes: Uint8Array,
  at: number,
  base: number,
  target: Uint32Array,
  end: number,
  count: number,
): number {
  let to = end;
  for (let index = 0; index < bitsBytes; index += 1) {
    for (let bits = bytes[at + index]; bits !== 0; bits &= bits - 1)
      target[to++] = base | (index * 8 + 31 - Math.clz32(bits & -bits));
  }
  if (to - end !== count) throw wrongBits(base >>> containerBits, to - end, count);
  return to;
}

function arrayFault(bytes: Uint8Array, at: number, key: number, count: number): PortableFault | undefined {
  let previous = -1;
  for (let from = at; from < at + count * 2; from += 2) {
    const value = bytes[from] | (bytes[from + 1] << 8);
    if (value <= previous) return valueOutOfOrder(key, value, previous);
    previous = value;
  }
  return undefined;
}

function bitsFault(bytes: Uint8Array, at: number, key: number, count: number): PortableFault | undefined {
  let found = 0;
  for (let index = at; index < at + bitsBytes; index += 1)
    for (let bits = bytes[index]; bits !== 0; bits &= bits - 1) found += 1;
  return found === count ? undefined : wrongBits(key, found, count);
}

function writeU16(target: Uint8Array, at: number, value: number): void {
  target[at] = value;
  target[at + 1] = value >>> 8;
}

function writeU32(target: Uint8Array, at: number, value: number): void {
  writeU16(target, at, value);
  writeU16(target, at + 2, value >>> 16);
}

function u32At(bytes: Uint8Array, at: number): number {
  return (bytes[at] | (bytes[at + 1] << 8) | (bytes[at + 2] << 16) | (bytes[at + 3] << 24)) >>> 0;
}
