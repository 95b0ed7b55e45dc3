/** The changes that are not folded in yet, commit by commit, none of them of what has no name. */
import { PublicError } from '../base/errors.js';
import { firstRoomOf, partitionOf } from '../base/ids.js';
import { roomOf, userAt, wordAt, wordsPerChange } from '../log/changes.js';
import { userCountAt } from './layout.js';
import type { Environment, Snapshot } from './lmdb.js';
import { readNameCounts } from './name-blocks.js';
import { wordsOf } from './words.js';

export interface RecentCommit {
  readonly commit: number;
  /** As log/changes.ts lays them out. */
  readonly changes: Uint32Array;
}

/** @throws PublicError DAMAGED */
export function* readRecent(environment: Environment, snapshot?: Snapshot): Generator<RecentCommit> {
  const counts = readNameCounts(environment, snapshot);
  const scan = environment.recent.scan({}, snapshot);
  for (let commit = scan.next(); commit !== undefined; commit = scan.next()) {
    const changes = wordsOf(scan.bytes, scan.length);
    const fault = recentFault(changes, scan.length, counts);
    if (fault !== undefined) {
      throw new PublicError(
        'DAMAGED',
        `${environment.path} is damaged: commit ${commit}: ${fault}; put a backup in its place`,
      );
    }
    yield { commit, changes };
  }
}

/** @param counts of names, as layout.ts has them */
export function recentFault(changes: Uint32Array, bytes: number, counts: Uint32Array): string | undefined {
  if (bytes === 0 || bytes % 8 !== 0) return `it has ${bytes} bytes`;
  for (let at = 0; at < changes.length; at += wordsPerChange) {
    const user = userAt(changes, at);
    const room = roomOf(wordAt(changes, at));
    const partition = partitionOf(room);
    if (user < 1 || user > counts[userCountAt]) return `user ${user} has no name`;
    if (room - firstRoomOf(partition) >= counts[partition]) return `room ${room} has no name`;
  }
  return undefined;
}
