/**
 * Cuts a stream of bytes into numbered lines, in batches.
 *
 * A last line without a newline counts; "\r\n" and a UTF-8 byte order mark at the start are tolerated; blank lines are
 * left out but counted.
 *
 * Invariant: however the bytes are cut into pieces, the lines are the same; no more than `lineBytesMax` bytes and one
 * piece are held. Cost: a line within one piece is a view of it, and only one that spans pieces is copied. A piece of
 * nothing but line ends takes several turns of the event loop, too.
 */
import { threadTurns, type Turns } from '../../base/turns.js';
import { changeBytesMax, itemsPerBatchMax } from './bounds.js';
import type { ByteStream } from './items.js';

export interface Line {
  /** From 1. */
  readonly number: number;
  /** Without its end; undefined when the line is longer than the bound. Valid until the next batch is asked for. */
  readonly bytes: Buffer | undefined;
}

export interface LinesOptions {
  readonly lineBytesMax?: number;
  readonly turns?: Turns;
}

const newline = 0x0a;
const carriageReturn = 0x0d;

/** The mark (3) and the carriage return (1) may be trimmed, so a line that long may still be within the bound. */
const trimmedBytesMax = 4;

export async function* readLines(
  stream: ByteStream,
  { lineBytesMax = changeBytesMax, turns = threadTurns }: LinesOptions = {},
): AsyncGenerator<Line[], void, undefined> {
  let batch: Line[] = [];
  const line = new LineParts(lineBytesMax);
  for await (const piece of stream) {
    // However short its pieces are.
    if (turns.isOverAfter(piece.length)) await turns.next();
    const bytes = Buffer.from(piece.buffer, piece.byteOffset, piece.byteLength);
    let start = 0;
    for (let end = bytes.indexOf(newline); end >= 0; end = bytes.indexOf(newline, start)) {
      if (end > start) line.keep(bytes.subarray(start, end));
      line.endInto(batch);
      if (turns.isOverAfter(end - start)) await turns.next();
      start = end + 1;
      if (batch.length === itemsPerBatchMax) {
        yield batch;
        batch = [];
      }
    }
    if (batch.length > 0) {
      yield batch;
      batch = [];
    }
    if (start < bytes.length) line.keepBeyondPiece(bytes.subarray(start));
  }
  if (line.begun) line.endInto(batch);
  if (batch.length > 0) yield batch;
}

/** The pieces of the line that is being read, and its number. */
class LineParts {
  readonly #lineBytesMax: number;
  #number = 1;
  #parts: Buffer[] = [];
  #bytes = 0;
  #tooLong = false;

  constructor(lineBytesMax: number) {
    this.#lineBytesMax = lineBytesMax;
  }

  get begun(): boolean {
    return this.#tooLong || this.#bytes > 0;
  }

  keep(part: Buffer): void {
    if (this.#tooLong || part.length === 0) return;
    if (this.#isBeyond(part)) {
      this.#tooLong = true;
      this.#parts = [];
      return;
    }
    this.#parts.push(part);
    this.#bytes += part.length;
  }

  /** Copies what it keeps: whoever owns the piece may fill it anew. */
  keepBeyondPiece(part: Buffer): void {
    this.keep(this.#tooLong || this.#isBeyond(part) ? part : Buffer.from(part));
  }

  endInto(batch: Line[]): void {
    const number = this.#number;
    if (!this.begun) {
      this.#number++;
      return;
    }
    const line = this.#tooLong ? undefined : trim(this.#whole(), number === 1);
    if (line === undefined || line.length > this.#lineBytesMax) batch.push({ number, bytes: undefined });
    else if (!isBlank(line)) batch.push({ number, bytes: line });
    this.#number++;
    this.#parts = [];
    this.#bytes = 0;
    this.#tooLong = false;
  }

  #isBeyond(part: Buffer): boolean {
    return this.#bytes + part.length > this.#lineBytesMax + trimmedBytesMax;
  }

  #whole(): Buffer {
    return this.#parts.length === 1 ? this.#parts[0] : Buffer.concat(this.#parts);
  }
}

function trim(line: Buffer, first: boolean): Buffer {
  const marked = first && line.length >= 3 && line[0] === 0xef && line[1] === 0xbb && line[2] === 0xbf;
  const end = line.at(-1) === carriageReturn ? line.length - 1 : line.length;
  return marked || end < line.length ? line.subarray(marked ? 3 : 0, end) : line;
}

function isBlank(line: Buffer): boolean {
  for (const byte of line) {
    if (byte !== 0x20 && byte !== 0x09 && byte !== carriageReturn) return false;
  }
  return true;
}
