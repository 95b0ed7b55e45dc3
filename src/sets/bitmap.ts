/**
 * The only import of `roaring`: room sets past `packedCountMax` as native Roaring bitmaps.
 *
 * A bitmap holds memory outside the heap that V8 frees only when it finalises the wrapper, so every temporary one is
 * disposed here. What the calls cost, and where the package's documentation misleads, is in native-notes.md.
 */
import roaring from 'roaring';

const { RoaringBitmap32 } = roaring;

export type Bitmap = roaring.RoaringBitmap32;

/** One past the largest member a bitmap can have, as the range calls want it. */
const rangeEnd = 2 ** 32;

/** @param rooms ascending and distinct; copied */
export function bitmapOf(rooms: Uint32Array): Bitmap {
  return new RoaringBitmap32(rooms);
}

/** How many members lie below `start`. */
export function bitmapRank(bitmap: Bitmap, start: number): number {
  return start === 0 ? 0 : bitmap.rangeCardinality(0, start);
}

/**
 * Writes members in ascending order, beginning with the one at `rank`.
 * @returns how many were written: at most `limit`
 */
export function bitmapCopy(bitmap: Bitmap, rank: number, limit: number, target: Uint32Array): number {
  if (limit === 0) return 0;
  // The package counts the first argument in members, not in values.
  return bitmap.rangeUint32Array(target.subarray(0, limit), rank, limit).length;
}

/** A new bitmap, which the caller disposes. */
export function bitmapIntersection(left: Bitmap, right: Bitmap): Bitmap {
  return RoaringBitmap32.and(left, right);
}

/** Bytes that the bitmap takes when written down. In memory it takes one to three times that; Roaring does not tell how many. */
export function bitmapBytes(bitmap: Bitmap): number {
  return bitmap.getSerializationSizeInBytes('portable');
}

/** The first fault of the bitmap's order, or undefined (room-sets.ts `fault` asks for it). */
export function bitmapFault(bitmap: Bitmap): string | undefined {
  let previous = -1;
  for (const room of bitmap) {
    if (room <= previous) return `bitmap holds ${room} after ${previous}`;
    if (room >= rangeEnd) return `bitmap holds ${room}`;
    previous = room;
  }
  return undefined;
}
