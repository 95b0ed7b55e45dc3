/** Lays changes over a room set: to fold them into it, or to read what it will be when they are folded. */
import { isJoin, roomOf } from '../log/changes.js';

/**
 * @param rooms the set: the first `count` of them, ascending
 * @param words of changes (log/changes.ts); from `from` to `to` ascending, each room once
 * @param merged gets the next set, and has room for both
 * @returns how many rooms that has, or -1 when nothing changes
 */
export function mergeChanges(
  rooms: Uint32Array,
  count: number,
  words: Uint32Array,
  from: number,
  to: number,
  merged: Uint32Array,
): number {
  let at = 0;
  let end = 0;
  let isSame = true;
  for (let index = from; index < to; index += 1) {
    const room = roomOf(words[index]);
    const joined = isJoin(words[index]);
    while (at < count && rooms[at] < room) merged[end++] = rooms[at++];
    const was = at < count && rooms[at] === room;
    if (was) at += 1;
    if (joined) merged[end++] = room;
    if (joined !== was) isSame = false;
  }
  if (isSame) return -1;
  while (at < count) merged[end++] = rooms[at++];
  return end;
}
