/** How would one intersect sorted arrays without an index? The peers of the set benches, and the two ways of packed sets. */

/** Merges two ascending arrays. @returns how many rooms are in both; they are in `target` */
export function mergeInto(left: Uint32Array, right: Uint32Array, target: Uint32Array): number {
  let at = 0;
  let other = 0;
  let count = 0;
  while (at < left.length && other < right.length) {
    const room = left[at];
    const otherRoom = right[other];
    if (room === otherRoom) target[count++] = room;
    if (room <= otherRoom) at += 1;
    if (otherRoom <= room) other += 1;
  }
  return count;
}

/** Looks each of few rooms up in many, by binary search of what is left. */
export function searchInto(few: Uint32Array, many: Uint32Array, target: Uint32Array): number {
  let from = 0;
  let count = 0;
  for (let index = 0; index < few.length && from < many.length; index += 1) {
    const room = few[index];
    let low = from;
    let high = many.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (many[middle] < room) low = middle + 1;
      else high = middle;
    }
    from = low;
    if (from < many.length && many[from] === room) target[count++] = room;
  }
  return count;
}

/** What `Set.prototype.intersection` does, written out: engines older than it run these benches too. */
export function setIntersection(left: Set<number>, right: Set<number>): Set<number> {
  const [small, large] = left.size <= right.size ? [left, right] : [right, left];
  const common = new Set<number>();
  for (const room of small) if (large.has(room)) common.add(room);
  return common;
}

export function countInSets(left: Set<number>, right: Set<number>): number {
  const [small, large] = left.size <= right.size ? [left, right] : [right, left];
  let count = 0;
  for (const room of small) if (large.has(room)) count += 1;
  return count;
}

export function anyInSets(left: Set<number>, right: Set<number>): boolean {
  const [small, large] = left.size <= right.size ? [left, right] : [right, left];
  for (const room of small) if (large.has(room)) return true;
  return false;
}

export function countByMerge(left: Uint32Array, right: Uint32Array): number {
  let at = 0;
  let other = 0;
  let count = 0;
  while (at < left.length && other < right.length) {
    const room = left[at];
    const otherRoom = right[other];
    if (room === otherRoom) count += 1;
    if (room <= otherRoom) at += 1;
    if (otherRoom <= room) other += 1;
  }
  return count;
}

export function anyByMerge(left: Uint32Array, right: Uint32Array): boolean {
  let at = 0;
  let other = 0;
  while (at < left.length && other < right.length) {
    const room = left[at];
    const otherRoom = right[other];
    if (room === otherRoom) return true;
    if (room < otherRoom) at += 1;
    else other += 1;
  }
  return false;
}
