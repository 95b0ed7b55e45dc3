/**
 * Compaction: writes a store anew without the names that nobody needs any more, users without rooms and rooms without
 * members. Everybody else gets a new number, in the same order, so a place in the old numbering can be found in the new
 * one: page tokens go on (identity.ts). The new store takes the old one's place when it is whole.
 *
 * Needs the store for itself. Cost: reads the store twice and writes it once; 4 bytes a room and a bit a user in memory.
 */
import { renameSync, statSync } from 'node:fs';
import { systemClock, systemRandom, type Clock, type RandomBytes } from '../base/clock.js';
import { PublicError } from '../base/errors.js';
import { Compactor } from './compactor.js';
import { checkSpace, findStore, removeUnfinished, syncDirectory, unfinishedPath } from './data-directory.js';
import { diskFaultOf } from './disk-fault.js';
import { checkFormat } from './identity.js';
import { userCountAt } from '../directory/name-counts.js';
import { Environment } from './lmdb.js';
import { readNameCounts } from './name-blocks.js';
import { checkOwner, openOwned, release } from './owner.js';
import type { Progress } from './store.js';

export interface CompactOptions {
  readonly directory: string;
  readonly random?: RandomBytes;
  readonly clock?: Clock;
  readonly onProgress?: Progress;
}

/** What a store has names for, and how large it is. */
export interface StoreSize {
  readonly users: number;
  readonly rooms: number;
  readonly bytes: number;
}

export interface Compaction {
  readonly before: StoreSize;
  readonly after: StoreSize;
  readonly memberships: number;
}

/** @throws PublicError INVALID, DAMAGED, UNAVAILABLE, FULL: the store is as it was then */
export async function compactStore(options: CompactOptions): Promise<Compaction> {
  const { directory, random = systemRandom } = options;
  const path = findStore(directory);
  const instance = random(16).toString('hex');
  try {
    const old = await openOwned(path, instance, checkFormat);
    try {
      try {
        return await replace(old, instance, random(4).readUInt32BE(), options);
      } finally {
        // Of the file that was: a server that has it open still finds that it is not its own.
        try {
          release(old, instance);
        } catch {
          // On a full disk the owner's name stays; it is no reason to say that the compaction failed.
        }
      }
    } finally {
      await old.close();
    }
  } catch (error) {
    const { code, message } = diskFaultOf(error, path);
    throw new PublicError(code, message, { cause: error });
  }
}

async function replace(
  old: Environment,
  instance: string,
  epoch: number,
  { directory, clock = systemClock, onProgress = () => undefined }: CompactOptions,
): Promise<Compaction> {
  const before = sizeOf(old);
  checkSpace(directory);
  const unfinished = unfinishedPath(directory);
  const snapshot = old.snapshot();
  const next = new Environment({ path: unfinished, create: true, bytesMax: before.bytes });
  let memberships: number;
  try {
    const compactor = new Compactor(old, next, snapshot, (users) => onProgress(users, before.users * 2));
    await compactor.findKept();
    await compactor.writeNames();
    await compactor.writeSets();
    compactor.writeMeta(epoch, clock.nowMs());
    ({ memberships } = compactor);
  } catch (error) {
    snapshot.done();
    await next.close();
    removeUnfinished(directory);
    throw error;
  }
  snapshot.done();
  const after = sizeOf(next);
  await next.close();
  // In a transaction: whoever has opened the store since, unseen from here, commits nothing in between that would be lost.
  old.write(() => {
    checkOwner(old, instance);
    renameSync(unfinished, old.path);
  });
  syncDirectory(directory);
  removeUnfinished(directory);
  return { before, after: { ...after, bytes: statSync(old.path).size }, memberships };
}

function sizeOf(environment: Environment): StoreSize {
  const counts = readNameCounts(environment);
  const users = counts[userCountAt];
  return { users, rooms: counts.reduce((sum, count) => sum + count, 0) - users, bytes: environment.bytes };
}
