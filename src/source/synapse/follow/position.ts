/**
 * How far the stream has been read, as it is committed with the changes: the highest id, the ids missing below it, and a row by
 * which the database is recognised.
 */
import { z } from 'zod';
import { GapLedger } from './gap-ledger.js';

/** A row of `current_state_delta_stream`, which nothing ever changes or deletes. */
export interface Anchor {
  readonly streamId: number;
  readonly roomId: string;
  readonly type: string;
  readonly stateKey: string;
  readonly eventId: string | null;
}

export interface Position {
  /** The highest id seen. */
  readonly high: number;
  readonly ledger: GapLedger;
  /** Undefined where there was no such row yet. */
  readonly anchor: Anchor | undefined;
  /** When the stream was last read to its end, in milliseconds since 1970. */
  readonly asOfMs: number;
}

const id = z.int().nonnegative();

const form = z.strictObject({
  version: z.literal(1),
  /** Whether the memberships are what the homeserver had; else a replacement has been begun. */
  isWhole: z.boolean(),
  high: id,
  /** [from, to] of each gap. Each process counts anew how long an id is missing; older stores have a third number, which told it. */
  gaps: z.array(z.tuple([id, id]).rest(z.number())),
  anchor: z
    .strictObject({
      streamId: id,
      roomId: z.string(),
      type: z.string(),
      stateKey: z.string(),
      eventId: z.string().nullable(),
    })
    .optional(),
  asOfMs: z.number(),
});

/** @param isWhole false while a part of a replacement is made */
export function cursorOf({ high, ledger, anchor, asOfMs }: Position, isWhole = true): Uint8Array {
  const gaps = ledger.gaps.map(({ from, to }) => [from, to]);
  return Buffer.from(JSON.stringify({ version: 1, isWhole, high, gaps, anchor, asOfMs }));
}

/** What a cursor says: where to go on from, or why that cannot be. */
export type CursorRead =
  | { readonly position: Position }
  | { readonly position: undefined; readonly why: string; readonly isUnreadable: boolean };

/** @param readAtMs now, by the monotonic clock */
export function readCursor(cursor: Uint8Array | undefined, readAtMs: number): CursorRead {
  if (cursor === undefined)
    return { position: undefined, why: 'there was nothing to go on from', isUnreadable: false };
  const parsed = form.safeParse(jsonOf(cursor));
  if (!parsed.success) {
    const why = 'how far the database was read is stored in a form that this version cannot read';
    return { position: undefined, why, isUnreadable: true };
  }
  const { isWhole, high, gaps, anchor, asOfMs } = parsed.data;
  if (!isWhole) return { position: undefined, why: 'the copy before was not finished', isUnreadable: false };
  const ledger = new GapLedger(gaps.map(([from, to]) => ({ from, to, sinceMs: readAtMs })));
  return { position: { high, ledger, anchor, asOfMs } };
}

/** @returns undefined where it is none */
function jsonOf(bytes: Uint8Array): unknown {
  try {
    return JSON.parse(Buffer.from(bytes).toString());
  } catch {
    return undefined;
  }
}
