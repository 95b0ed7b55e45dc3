/**
 * What a store says of itself: that it is ours and of which format, the identity of its numbering, and how rooms of
 * earlier numberings are found in this one.
 */
import type { RandomBytes } from '../base/clock.js';
import { PublicError } from '../base/errors.js';
import { firstRoomOf, partitionOf, roomNoEnd, type RoomNo } from '../base/ids.js';
import { portableCount, portableFault, readPortable } from '../sets/portable.js';
import { programName, storeFormat, storeFormatMin, type StoredEarlierEpoch } from './layout.js';
import { otherProgramsFile, type Environment } from './lmdb.js';
import type { EarlierEpoch, Identity } from './store.js';

/** Makes every table and what a store begins with. Only inside `Environment.write`. */
export function newMeta(environment: Environment, random: RandomBytes): void {
  environment.putMeta('format', { program: programName, format: storeFormat });
  environment.putMeta('identity', { epoch: random(4).readUInt32BE(), tokenKey: random(32) });
  environment.putMeta('earlier', []);
  environment.putMeta('counts', { memberships: 0, users: 0 });
  environment.putMeta('log', { first: 1 });
}

/** @throws PublicError INVALID: what this version cannot read; nothing has been changed */
export function checkFormat(environment: Environment): void {
  const stored = environment.getMeta('format');
  if (stored?.program !== programName) throw otherProgramsFile(environment.path);
  if (stored.format > storeFormat) {
    throw new PublicError(
      'INVALID',
      `${environment.path} has the format ${stored.format}, and this version reads up to ${storeFormat}: run the version that wrote it, or a newer one`,
    );
  }
  if (stored.format < storeFormatMin) {
    throw new PublicError(
      'INVALID',
      `${environment.path} has the format ${stored.format}, which this version does not read any more: export it with the version that wrote it, and import that`,
    );
  }
}

/** Makes a store of an earlier format one of this format. Only inside `Environment.write`, by who owns the store. */
export function carryOver(environment: Environment): void {
  const stored = environment.getMeta('format');
  if (stored === undefined || stored.format === storeFormat) return;
  // Format 1 numbered commits, too, but began again at 0 when none was left.
  const scan = environment.recent.scan({});
  environment.putMeta('log', { first: scan.next() ?? 1 });
  scan.close();
  environment.putMeta('format', { ...stored, format: storeFormat });
}

export function identityOf(environment: Environment): Identity {
  const identity = environment.getMeta('identity');
  if (identity?.tokenKey.length !== 32) {
    throw new PublicError('DAMAGED', `${environment.path} has no identity: put a backup in its place`);
  }
  return {
    epoch: identity.epoch,
    tokenKey: Buffer.from(identity.tokenKey),
    earlier: (environment.getMeta('earlier') ?? []).map((stored) => earlierEpochOf(stored, environment.path)),
  };
}

function earlierEpochOf({ epoch, kept }: StoredEarlierEpoch, path: string): EarlierEpoch {
  const fault = portableFault(kept, kept.length);
  if (fault !== undefined) {
    throw new PublicError(
      'DAMAGED',
      `${path} is damaged: the rooms that were kept of the earlier epoch ${epoch}: ${fault}; put a backup in its place`,
    );
  }
  const rooms = new Uint32Array(portableCount(kept, kept.length));
  readPortable(kept, kept.length, 0, roomNoEnd + 1, rooms);
  const below = (room: number): number => {
    let low = 0;
    let high = rooms.length;
    while (low < high) {
      const middle = (low + high) >>> 1;
      if (rooms[middle] < room) low = middle + 1;
      else high = middle;
    }
    return low;
  };
  return {
    epoch,
    translate: (start) => {
      const first = firstRoomOf(partitionOf(start as RoomNo));
      return first + below(start) - below(first);
    },
  };
}
