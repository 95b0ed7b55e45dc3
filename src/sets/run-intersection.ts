/**
 * The intersection of two packed runs: all of it, or whether there is any. The loops that most questions end in.
 *
 * Runs of like length are merged, without a branch that depends on which room is smaller: such branches are guessed
 * wrong every other time, and the plain merge takes twice as long from 100 rooms on (`npm run bench -- sets`). When one
 * run is `gallopRatio` times longer, each room of the short one is searched in what is left of the long one.
 *
 * All rooms are below 2^31, so `(a - b) >>> 31` is 1 when a is below b, else 0.
 */
import { lowerBound, type RunView } from './packed-runs.js';
import { gallopRatio } from './thresholds.js';

/**
 * @param target has room for the shorter run
 * @returns how many rooms are in both; they are in `target`, ascending
 */
export function intersectRuns(left: RunView, right: RunView, target: Uint32Array): number {
  if (left.count * gallopRatio < right.count) return searchRun(left, right, target);
  if (right.count * gallopRatio < left.count) return searchRun(right, left, target);
  return mergeRuns(left, right, target);
}

/** Whether two runs share a room. Stops at the first. */
export function runsShare(left: RunView, right: RunView): boolean {
  if (left.count * gallopRatio < right.count) return searchAny(left, right);
  if (right.count * gallopRatio < left.count) return searchAny(right, left);
  return mergeAny(left, right);
}

/** For runs of like length. */
export function mergeRuns(left: RunView, right: RunView, target: Uint32Array): number {
  const leftWords = left.words;
  const rightWords = right.words;
  let at = left.start;
  let other = right.start;
  const end = at + left.count;
  const otherEnd = other + right.count;
  let common = 0;
  while (at < end && other < otherEnd) {
    const room = leftWords[at];
    const otherRoom = rightWords[other];
    const notAbove = 1 - ((otherRoom - room) >>> 31);
    const notBelow = 1 - ((room - otherRoom) >>> 31);
    // Written each time, kept only when both are the same: a write costs less than a wrong guess.
    target[common] = room;
    common += notAbove & notBelow;
    at += notAbove;
    other += notBelow;
  }
  return common;
}

function mergeAny(left: RunView, right: RunView): boolean {
  const leftWords = left.words;
  const rightWords = right.words;
  let at = left.start;
  let other = right.start;
  const end = at + left.count;
  const otherEnd = other + right.count;
  while (at < end && other < otherEnd) {
    const room = leftWords[at];
    const otherRoom = rightWords[other];
    if (room === otherRoom) return true;
    at += (room - otherRoom) >>> 31;
    other += (otherRoom - room) >>> 31;
  }
  return false;
}

/** For runs of which one is much shorter. */
export function searchRun(few: RunView, many: RunView, target: Uint32Array): number {
  const { words, start, count } = many;
  let from = 0;
  let common = 0;
  for (let index = 0; index < few.count && from < count; index += 1) {
    const room = few.words[few.start + index];
    from += lowerBound(words, start + from, count - from, room);
    if (from < count && words[start + from] === room) target[common++] = room;
  }
  return common;
}

function searchAny(few: RunView, many: RunView): boolean {
  const { words, start, count } = many;
  let from = 0;
  for (let index = 0; index < few.count && from < count; index += 1) {
    const room = few.words[few.start + index];
    from += lowerBound(words, start + from, count - from, room);
    if (from < count && words[start + from] === room) return true;
  }
  return false;
}
