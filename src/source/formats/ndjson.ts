/**
 * Memberships as NDJSON: a line `{"user_id","room_id","membership"}` each. A bad line is a fault of that line alone.
 */
import { isUtf8 } from 'node:buffer';
import { type Change, changeFrom } from '../../base/change.js';
import { messageOf, PublicError } from '../../base/errors.js';
import { changeBytesMax } from '../../base/limits.js';
import { type Line, readLines } from './lines.js';
import type { ByteStream, SourceItem } from './items.js';

/** Yields batches of one item for every line that is not blank. */
export async function* readNdjson(stream: ByteStream): AsyncGenerator<SourceItem[], void, undefined> {
  for await (const lines of readLines(stream)) yield lines.map(itemOf);
}

/** One line as an item. */
export function itemOf({ number, bytes }: Line): SourceItem {
  if (bytes === undefined) return { line: number, fault: `the line is longer than ${changeBytesMax} bytes` };
  try {
    return { line: number, change: changeOf(bytes) };
  } catch (error) {
    if (!(error instanceof PublicError)) throw error;
    return { line: number, fault: error.message };
  }
}

function changeOf(bytes: Buffer): Change {
  // Decoding would replace what is broken, and two broken names could become one.
  if (!isUtf8(bytes)) throw new PublicError('INVALID', 'the line is not valid UTF-8');
  let value: unknown;
  try {
    value = JSON.parse(bytes.toString('utf8'));
  } catch (error) {
    const hint = bytes[0] === 0x5b ? ' (NDJSON is one object a line, without an array around them)' : '';
    throw new PublicError('INVALID', `the line is not JSON${hint}: ${messageOf(error)}`, { cause: error });
  }
  return changeFrom(value);
}
