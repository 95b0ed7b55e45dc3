/**
 * The log's tail: the commits that are not folded into the room sets yet, by ascending number, none left out. None of their
 * changes is of what has no name.
 */
import { PublicError } from '../base/errors.js';
import { firstRoomOf, partitionOf } from '../base/ids.js';
import { userCountAt, type NameCounts } from '../directory/name-counts.js';
import { roomOf, userAt, wordAt, wordsPerChange } from '../log/changes.js';
import type { Environment, Snapshot } from './lmdb.js';
import { readNameCounts } from './name-blocks.js';
import { wordsOf } from './words.js';

export interface RecentCommit {
  readonly number: number;
  /** As log/changes.ts lays them out. */
  readonly changes: Uint32Array;
}

/** @throws PublicError DAMAGED */
export function* readRecent(environment: Environment, snapshot?: Snapshot): Generator<RecentCommit> {
  const counts = readNameCounts(environment, snapshot);
  const scan = environment.recent.scan({}, snapshot);
  for (let number = scan.next(); number !== undefined; number = scan.next()) {
    const changes = wordsOf(scan.bytes, scan.length);
    const fault = recentFault(changes, scan.length, counts);
    if (fault !== undefined) {
      throw new PublicError(
        'DAMAGED',
        `${environment.path} is damaged: commit ${number}: ${fault}; put a backup in its place`,
      );
    }
    yield { number, changes };
  }
}

/** The number of the last commit; 0 when there was none yet. */
export function lastCommit(environment: Environment, snapshot?: Snapshot): number {
  const last = environment.recent.lastKey(snapshot);
  return last ?? (environment.getMeta('log', snapshot)?.first ?? 1) - 1;
}

export function recentFault(changes: Uint32Array, bytes: number, counts: NameCounts): string | undefined {
  if (bytes % 8 !== 0) return `it has ${bytes} bytes`;
  for (let at = 0; at < changes.length; at += wordsPerChange) {
    const user = userAt(changes, at);
    const room = roomOf(wordAt(changes, at));
    const partition = partitionOf(room);
    if (user < 1 || user > counts[userCountAt]) return `user ${user} has no name`;
    if (room - firstRoomOf(partition) >= counts[partition]) return `room ${room} has no name`;
  }
  return undefined;
}
