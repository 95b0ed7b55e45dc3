/**
 * Gives the names of many changes their numbers, in steps between which questions are answered. All are checked before any gets
 * one, so a list with a bad ID leaves nothing behind.
 */
import { setImmediate } from 'node:timers/promises';
import type { Change } from '../base/change.js';
import { changesPerTaskMax } from './bounds.js';
import type { Directory } from '../directory/directory.js';
import { wordsPerChange } from '../log/changes.js';

/** Changes whose IDs are checked before questions are answered again: about 0.2 ms. */
const changesCheckedTogether = 2_048;

/**
 * One call at a time. A short list is done when the call returns.
 * @returns the changes as log/changes.ts lays them out, without those that can change nothing
 * @throws PublicError INVALID for an ID that is none, and FULL
 */
export async function numberChanges(directory: Directory, changes: readonly Change[]): Promise<Uint32Array> {
  if (changes.length <= changesPerTaskMax) return directory.number(changes);
  for (let at = 0; at < changes.length; at += changesCheckedTogether) {
    if (at > 0) await setImmediate();
    directory.check(changes.slice(at, at + changesCheckedTogether));
  }
  const numbered = new Uint32Array(changes.length * wordsPerChange);
  let end = 0;
  for (let at = 0; at < changes.length; at += changesPerTaskMax) {
    if (at > 0) await setImmediate();
    const slice = directory.number(changes.slice(at, at + changesPerTaskMax));
    numbered.set(slice, end);
    end += slice.length;
  }
  return numbered.slice(0, end);
}
