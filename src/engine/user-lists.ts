/**
 * Lists of who is where, as shards give them: [user, count, rooms...] of each user, users and rooms ascending. Put together
 * out of several shards, and compared.
 *
 * Cost: a pass over the words.
 */
import type { RoomNo } from '../base/ids.js';
import { changeWord } from '../log/changes.js';
import { WordList } from '../log/word-list.js';

/** @param lists of shards in their order, of the same users. @returns one list */
export function mergedLists(lists: readonly Uint32Array[]): Uint32Array {
  if (lists.length === 1) return lists[0];
  const merged = new WordList();
  const ats = lists.map(() => 0);
  for (;;) {
    let user = Infinity;
    let count = 0;
    for (let list = 0; list < lists.length; list += 1) {
      const at = ats[list];
      if (at === lists[list].length || lists[list][at] > user) continue;
      count = lists[list][at] < user ? lists[list][at + 1] : count + lists[list][at + 1];
      user = lists[list][at];
    }
    if (user === Infinity) return merged.take();
    merged.push(user, count);
    for (let list = 0; list < lists.length; list += 1) {
      const at = ats[list];
      if (lists[list][at] !== user) continue;
      const end = at + 2 + lists[list][at + 1];
      // Shards own ascending ranges of rooms.
      merged.pushAll(lists[list].subarray(at + 2, end));
      ats[list] = end;
    }
  }
}

/** @returns the changes (log/changes.ts) that make the first list the second one, by ascending user and room */
export function listDifference(before: Uint32Array, after: Uint32Array): Uint32Array {
  const changes = new WordList();
  let left = 0;
  let right = 0;
  while (left < before.length || right < after.length) {
    const user = Math.min(
      left < before.length ? before[left] : Infinity,
      right < after.length ? after[right] : Infinity,
    );
    const leftRooms = before[left] === user ? left + 2 : left;
    const leftEnd = before[left] === user ? leftRooms + before[left + 1] : left;
    const rightRooms = after[right] === user ? right + 2 : right;
    const rightEnd = after[right] === user ? rightRooms + after[right + 1] : right;
    left = leftRooms;
    right = rightRooms;
    while (left < leftEnd || right < rightEnd) {
      const old = left < leftEnd ? before[left] : Infinity;
      const now = right < rightEnd ? after[right] : Infinity;
      if (old <= now) left += 1;
      if (now <= old) right += 1;
      if (old < now) changes.push(user, changeWord(old as RoomNo, false));
      if (now < old) changes.push(user, changeWord(now as RoomNo, true));
    }
  }
  return changes.take();
}
