/**
 * Where a room set changes its form, and which way an intersection takes. All measured by `npm run bench -- sets`
 * (figures: native-notes.md); each line says what it trades.
 */

/** A packed set that grows beyond this becomes a bitmap. Merges are linear; Roaring costs a call and its wrapper. */
export const packedCountMax = 2048;

/** A bitmap that shrinks below this becomes packed again: half, so that one member going to and fro converts nothing. */
export const packedCountMin = packedCountMax / 2;

/** Packed with packed: when one side is this many times longer, it is searched instead of merged. */
export const gallopRatio = 10;

/** Packed with bitmap: up to this many members are asked for one by one; beyond, a temporary bitmap is cheaper. */
export const probeCountMax = 128;

/** Whether there is any: this many members of a longer set are looked up one by one before a bitmap is made of the others. */
export const probeCountFirst = 32;

/**
 * Bitmap with bitmap, first page: this many members of the smaller one are looked up before the whole intersection is made. For
 * two bots that takes about a quarter of the time of the intersection.
 */
export const firstProbesMax = 512;
