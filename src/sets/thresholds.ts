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

/** Is there any? Of a longer set, so many members are asked for one by one before a bitmap is made of the others. */
export const probeCountFirst = 32;

/**
 * Bitmap with bitmap, first page: so many members of the smaller one are asked for before the whole intersection is made:
 * about a quarter of what that takes for two bots.
 */
export const firstProbesMax = 512;
