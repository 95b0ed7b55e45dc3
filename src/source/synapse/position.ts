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

const form = z.strictObject({
  version: z.literal(1),
  /** Whether the memberships are what the homeserver had; else a replacement has been begun. */
  isWhole: z.boolean(),
  high: z.number(),
  /** How long each has been missing is counted anew by each process; once a third number told it. */
  gaps: z.array(z.tuple([z.number(), z.number()]).rest(z.number())),
  anchor: z
    .strictObject({
      streamId: z.number(),
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

/**
 * @param readAtMs now, by the monotonic clock
 * @returns undefined where there is none that can be gone on from: what has been read is not whole, or of another version
 */
export function positionOf(cursor: Uint8Array | undefined, readAtMs: number): Position | undefined {
  if (cursor === undefined) return undefined;
  const parsed = form.safeParse(JSON.parse(Buffer.from(cursor).toString()));
  if (!parsed.success || !parsed.data.isWhole) return undefined;
  const { high, gaps, anchor, asOfMs } = parsed.data;
  return {
    high,
    ledger: new GapLedger(gaps.map(([from, to]) => ({ from, to, sinceMs: readAtMs }))),
    anchor,
    asOfMs,
  };
}
