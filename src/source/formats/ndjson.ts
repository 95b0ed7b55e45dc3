/**
 * Memberships as NDJSON: a line `{"user_id","room_id","membership"}` each. A bad line is a fault of that line alone.
 */
import { isUtf8 } from 'node:buffer';
import { changeOrFault, type Change } from '../../base/change.js';
import { messageOf, withoutStack } from '../../base/errors.js';
import { threadTurns } from '../../base/turns.js';
import { changeBytesMax } from './bounds.js';
import { type Line, readLines } from './lines.js';
import type { ByteStream, SourceItem } from './items.js';

/** Yields batches of one item for every line that is not blank. */
export async function* readNdjson(
  stream: ByteStream,
  turns = threadTurns,
): AsyncGenerator<SourceItem[], void, undefined> {
  for await (const lines of readLines(stream, { turns })) {
    const items: SourceItem[] = [];
    for (const line of lines) {
      items.push(itemOf(line));
      if (turns.isOverAfter(line.bytes?.length ?? 0)) await turns.next();
    }
    yield items;
  }
}

/** One line as an item. */
export function itemOf({ number, bytes }: Line): SourceItem {
  if (bytes === undefined) return { line: number, fault: `the line is longer than ${changeBytesMax} bytes` };
  const change = changeOrFaultOf(bytes);
  return typeof change === 'string' ? { line: number, fault: change } : { line: number, change };
}

function changeOrFaultOf(bytes: Buffer): Change | string {
  // Decoding would replace what is broken, and two broken names could become one.
  if (!isUtf8(bytes)) return 'the line is not valid UTF-8';
  let value: unknown;
  try {
    value = withoutStack(() => JSON.parse(bytes.toString('utf8')) as unknown);
  } catch (error) {
    const hint = bytes[0] === 0x5b ? ' (NDJSON is one object a line, without an array around them)' : '';
    return `the line is not JSON${hint}: ${messageOf(error)}`;
  }
  return changeOrFault(value);
}
