/**
 * Memberships as one msgpack array of the same objects that NDJSON has, read as it streams in.
 *
 * The extent of every element is found by hand first (msgpack-scan.ts), so that one that is too long or cannot be
 * decoded is a fault of that element alone, and msgpackr only sees whole, small ones without extensions. What leaves
 * the place of the next element in doubt (no array, a cut, bytes after the end) ends the reading with an error.
 *
 * Invariant: however the bytes are cut into pieces, the items are the same; no more than `changeBytesMax` bytes and one
 * piece are held, whatever count the header claims. Cost: each byte is looked at twice; a bad element costs no more than a
 * good one, and none holds up the event loop (base/turns.ts).
 */
import { Unpackr } from 'msgpackr';
import { changeOrFault, noRecord } from '../../base/change.js';
import { messageOf, PublicError, withoutStack } from '../../base/errors.js';
import { threadTurns } from '../../base/turns.js';
import { changeBytesMax, itemsPerBatchMax, listsPerElementMax } from './bounds.js';
import { arrayHeader, ElementScan, hasBrokenText, isMap } from './msgpack-scan.js';
import type { ByteStream, SourceItem } from './items.js';

/**
 * Yields batches of one item an element.
 * @throws PublicError INVALID when the body is not one whole array; what was yielded before holds
 */
export async function* readMsgpack(
  stream: ByteStream,
  turns = threadTurns,
): AsyncGenerator<SourceItem[], void, undefined> {
  const unpackr = new Unpackr({ useRecords: false, mapsAsObjects: true });
  const scan = new ElementScan();
  let count: number | undefined;
  let line = 1;
  /** What of the current element came in earlier pieces; empty once it is too long. */
  let held = Buffer.alloc(0);
  let tooLong = false;

  for await (const piece of stream) {
    // However short its pieces are: what is held is copied with each.
    if (turns.isOverAfter(held.length + piece.length)) await turns.next();
    const bytes = Buffer.concat([held, piece]);
    let start = 0;
    /** Where the scan goes on: what is held was scanned before, but for a header cut in two. */
    let at = held.length - scan.unreadBytes;
    held = Buffer.alloc(0);
    let batch: SourceItem[] = [];

    if (count === undefined) {
      const header = arrayHeader(bytes);
      if (header === undefined) {
        held = bytes;
        scan.unreadBytes = bytes.length;
        continue;
      }
      count = header.count;
      start = at = header.bytes;
    }
    while (line <= count) {
      at = advance(scan, bytes, at, line);
      if (!scan.done) break;
      const isLong = tooLong || at - start > changeBytesMax;
      batch.push(isLong ? tooLongItem(line) : itemOf(unpackr, bytes, start, at, line, scan));
      if (turns.isOverAfter(at - start)) await turns.next();
      line++;
      start = at;
      tooLong = false;
      scan.reset();
      if (batch.length === itemsPerBatchMax) {
        yield batch;
        batch = [];
      }
    }
    if (batch.length > 0) yield batch;
    if (line > count) {
      if (start < bytes.length)
        throw new PublicError('INVALID', `bytes follow the array of ${count} elements`);
      scan.unreadBytes = 0;
      continue;
    }
    scan.unreadBytes = bytes.length - at;
    tooLong ||= at - start > changeBytesMax;
    held = bytes.subarray(tooLong ? at : start);
  }
  if (count === undefined) {
    throw new PublicError('INVALID', 'the body ends before the header of a msgpack array');
  }
  if (line <= count) {
    throw new PublicError(
      'INVALID',
      `the array has ${count} elements, but the body ends within element ${line}`,
    );
  }
}

function advance(scan: ElementScan, bytes: Buffer, at: number, line: number): number {
  const next = scan.advance(bytes, at);
  if (next < 0) throw new PublicError('INVALID', `element ${line} is not msgpack: it holds the byte 0xc1`);
  return next;
}

function tooLongItem(line: number): SourceItem {
  return { line, fault: `the element is longer than ${changeBytesMax} bytes` };
}

/** The element that lies from `start` to `end`. */
function itemOf(
  unpackr: Unpackr,
  bytes: Buffer,
  start: number,
  end: number,
  line: number,
  scan: ElementScan,
): SourceItem {
  // An extension could be anything, and those that msgpackr knows build more than plain objects.
  if (scan.hasExtension) return { line, fault: 'the element holds a msgpack extension, and none is taken' };
  if (!isMap(bytes[start])) return { line, fault: noRecord };
  if (scan.lists > listsPerElementMax)
    return { line, fault: `the element holds more than ${listsPerElementMax} lists and maps` };
  const element = bytes.subarray(start, end);
  if (hasBrokenText(element)) return { line, fault: 'the element holds text that is not valid UTF-8' };
  let value: unknown;
  try {
    value = withoutStack(() => unpackr.unpack(element) as unknown);
  } catch (error) {
    return { line, fault: `the element cannot be decoded: ${messageOf(error)}` };
  }
  const change = changeOrFault(value);
  return typeof change === 'string' ? { line, fault: change } : { line, change };
}
