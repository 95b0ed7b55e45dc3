/**
 * What every source of memberships yields: a change, or why there is none, under the number people count by.
 *
 * Readers yield batches, because an await for every line costs more than reading the line.
 */
import type { Change } from '../../base/change.js';

/** Exactly one of `change` and `fault` is there. */
export interface SourceItem {
  /** From 1: the line of NDJSON, or the element of a msgpack array. */
  readonly line: number;
  readonly change?: Change;
  /** What is wrong with it, for whoever wrote it. */
  readonly fault?: string;
}

/** Bytes as Node's streams, an HTTP body and a test's array give them. */
export type ByteStream = AsyncIterable<Uint8Array> | Iterable<Uint8Array>;
