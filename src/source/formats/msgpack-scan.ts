/**
 * Finds where a msgpack value ends without decoding it, also when it arrives in pieces.
 *
 * Invariant: state is a few numbers, whatever the value's length or depth. Cost: a step for each value inside, none for
 * the bytes of texts. Source: the msgpack specification, "Formats".
 */
import { isUtf8 } from 'node:buffer';
import { PublicError } from '../../base/errors.js';

/** The header of an array, or undefined while too few bytes are there. */
export function arrayHeader(bytes: Buffer): { readonly count: number; readonly bytes: number } | undefined {
  if (bytes.length === 0) return undefined;
  const token = bytes[0];
  if ((token & 0xf0) === 0x90) return { count: token & 0x0f, bytes: 1 };
  if (token === 0xdc) return bytes.length < 3 ? undefined : { count: bytes.readUInt16BE(1), bytes: 3 };
  if (token === 0xdd) return bytes.length < 5 ? undefined : { count: bytes.readUInt32BE(1), bytes: 5 };
  throw new PublicError('INVALID', 'the body is not a msgpack array of {"user_id","room_id","membership"}');
}

/** Walks through one value after another: `advance` until `done`, then `reset`. */
export class ElementScan {
  hasExtension = false;
  /** Lists and maps of the value, itself included: it is nested no deeper than that. */
  lists = 0;
  /** Bytes at the end of the last piece that were not enough for a header; they must be handed in again. */
  unreadBytes = 0;
  /** Values that are still to come before the outermost one is whole. */
  #valuesLeft = 1;
  #bytesToSkip = 0;

  get done(): boolean {
    return this.#valuesLeft === 0 && this.#bytesToSkip === 0;
  }

  reset(): void {
    this.hasExtension = false;
    this.lists = 0;
    this.#valuesLeft = 1;
    this.#bytesToSkip = 0;
  }

  /** @returns how far it came: the value's end, or where more bytes are needed; -1 at a byte that msgpack never uses */
  advance(bytes: Buffer, start: number): number {
    let at = start;
    while (!this.done) {
      if (this.#bytesToSkip > 0) {
        const skipped = Math.min(this.#bytesToSkip, bytes.length - at);
        this.#bytesToSkip -= skipped;
        at += skipped;
        if (this.#bytesToSkip > 0) return at;
        continue;
      }
      if (at >= bytes.length) return at;
      const token = bytes[at];
      if (token === 0xc1) return -1;
      const lengthBytes = lengthBytesOf(token);
      if (at + 1 + lengthBytes > bytes.length) return at;
      const length = lengthBytes === 0 ? 0 : bytes.readUIntBE(at + 1, lengthBytes);
      at += 1 + lengthBytes;
      if (isList(token) || isMap(token)) this.lists += 1;
      this.#valuesLeft += valuesInside(token, length) - 1;
      this.#bytesToSkip = bytesInside(token, length);
      this.hasExtension ||= isExtension(token);
    }
    return at;
  }
}

/** Whether any text of a whole value is not UTF-8. Decoders replace what is broken, and two names could become one. */
export function hasBrokenText(element: Buffer): boolean {
  for (let at = 0; at < element.length;) {
    const token = element[at];
    const lengthBytes = lengthBytesOf(token);
    const start = at + 1 + lengthBytes;
    const bytes = bytesInside(token, lengthBytes === 0 ? 0 : element.readUIntBE(at + 1, lengthBytes));
    at = start + bytes;
    // Most texts are ASCII, and looking is cheaper than a view and a call for each.
    if (isText(token) && !isAscii(element, start, at) && !isUtf8(element.subarray(start, at))) return true;
  }
  return false;
}

function isAscii(bytes: Buffer, start: number, end: number): boolean {
  for (let at = start; at < end; at++) {
    if (bytes[at] >= 0x80) return false;
  }
  return true;
}

function isText(token: number): boolean {
  return (token & 0xe0) === 0xa0 || (token >= 0xd9 && token <= 0xdb);
}

export function isMap(token: number): boolean {
  return (token & 0xf0) === 0x80 || token === 0xde || token === 0xdf;
}

function isList(token: number): boolean {
  return (token & 0xf0) === 0x90 || token === 0xdc || token === 0xdd;
}

function isExtension(token: number): boolean {
  return (token >= 0xc7 && token <= 0xc9) || (token >= 0xd4 && token <= 0xd8);
}

/** How many bytes after the token say how long the value is. */
function lengthBytesOf(token: number): number {
  if (token >= 0xc4 && token <= 0xc9) return 1 << ((token - 0xc4) % 3); // bin, ext: 8, 16, 32
  if (token >= 0xd9 && token <= 0xdb) return 1 << (token - 0xd9); // str: 8, 16, 32
  if (token >= 0xdc && token <= 0xdf) return 2 << (token & 1); // array, map: 16, 32
  return 0;
}

/** Bytes of the value after token and length. */
function bytesInside(token: number, length: number): number {
  if ((token & 0xe0) === 0xa0) return token & 0x1f; // fixstr
  if (token >= 0xc4 && token <= 0xc6) return length; // bin
  if (token >= 0xc7 && token <= 0xc9) return length + 1; // ext: its type too
  if (token === 0xca) return 4; // float 32
  if (token === 0xcb) return 8; // float 64
  if (token >= 0xcc && token <= 0xd3) return 1 << (token & 3); // uint and int: 8, 16, 32, 64
  if (token >= 0xd4 && token <= 0xd8) return 1 + (1 << (token - 0xd4)); // fixext: 1, 2, 4, 8, 16
  if (token >= 0xd9 && token <= 0xdb) return length; // str
  return 0;
}

function valuesInside(token: number, length: number): number {
  if ((token & 0xf0) === 0x80) return 2 * (token & 0x0f); // fixmap
  if ((token & 0xf0) === 0x90) return token & 0x0f; // fixarray
  if (token === 0xdc || token === 0xdd) return length; // array
  if (token === 0xde || token === 0xdf) return 2 * length; // map
  return 0;
}
