/**
 * The one codec of changes: [user, word] each, one behind the other in a `Uint32Array`, in the order in which they are
 * made. The word is `room * 2 + joined`; a RoomNo is below 2^31, so it fits. Shards, the store and its table `recent` all
 * have changes in this form (native-notes.md has it for readers in other languages).
 *
 * A change says what holds from now on, not what to do: made twice it equals once.
 */
import type { RoomNo, UserNo } from '../base/ids.js';

/** How far it is from one change to the next. */
export const wordsPerChange = 2;

export function changeWord(room: RoomNo, joined: boolean): number {
  return room * 2 + (joined ? 1 : 0);
}

/** The room of a change's word. */
export function roomOf(word: number): RoomNo {
  return (word >>> 1) as RoomNo;
}

/** Whether a change's word says that the user is joined. */
export function isJoin(word: number): boolean {
  return (word & 1) === 1;
}

/** The user of the change that begins at `at`. */
export function userAt(changes: Uint32Array, at: number): UserNo {
  return changes[at] as UserNo;
}

/** The word of the change that begins at `at`. */
export function wordAt(changes: Uint32Array, at: number): number {
  return changes[at + 1];
}

/** How many changes there are. */
export function changeCount(changes: Uint32Array): number {
  return changes.length / wordsPerChange;
}

/** The changes from the `from`-th to the `end`-th (not included): a copy, since a view is sent to a thread with all the memory behind it. */
export function sliceOfChanges(changes: Uint32Array, from: number, end: number): Uint32Array {
  return changes.slice(from * wordsPerChange, end * wordsPerChange);
}

/** How many of the changes are joins. */
export function joinCount(changes: Uint32Array): number {
  let joins = 0;
  for (let at = 0; at < changes.length; at += wordsPerChange) if (isJoin(wordAt(changes, at))) joins += 1;
  return joins;
}

/** The lists one behind the other. */
export function concatChanges(lists: readonly Uint32Array[]): Uint32Array {
  if (lists.length === 1) return lists[0];
  const all = new Uint32Array(lists.reduce((sum, list) => sum + list.length, 0));
  let at = 0;
  for (const list of lists) {
    all.set(list, at);
    at += list.length;
  }
  return all;
}
