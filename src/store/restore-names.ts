/**
 * Reads all names of the store, block by block, in steps between which the event loop turns: into interners, or into
 * `Names` alone for those who only spell numbers.
 *
 * Cost: under half a microsecond a name, nearly all of it the interner's.
 */
import { setImmediate } from 'node:timers/promises';
import { PublicError, messageOf } from '../base/errors.js';
import type { RoomNo, UserNo } from '../base/ids.js';
import { nameBytesMax } from '../base/limits.js';
import { wordsOf as wordsOfName } from '../directory/encoder.js';
import type { Interner } from '../directory/interner.js';
import { escapeFlag, lengthMask, type Names } from '../directory/names.js';
import { userCountAt } from '../directory/name-counts.js';
import { blockOfRoomBlock, namesPerBlock, partitionOfRoomBlock } from './layout.js';
import type { Environment, Snapshot, Table } from './lmdb.js';
import { readNameCounts } from './name-blocks.js';
import type { Progress } from './store.js';

/** Blocks in one step: 4,096 names, about a millisecond. */
const blocksPerStep = 128;

/** One word more, as `Interner.restore` wants it. */
const blockWords = new Uint32Array(namesPerBlock * wordsOfName(nameBytesMax) + 1);
const blockBytes = new Uint8Array(blockWords.buffer);

/** Takes names of consecutive numbers of a lane, one behind the other, up to `end`. */
type TakeNames = (lane: number, words: Uint32Array, end: number) => void;

/** @throws PublicError DAMAGED */
export async function restoreNames(
  environment: Environment,
  users: Interner<UserNo>,
  rooms: Interner<RoomNo>,
  onProgress: Progress,
  snapshot?: Snapshot,
): Promise<void> {
  const counts = readNameCounts(environment, snapshot);
  const total = counts.reduce((sum, count) => sum + count, 0);
  users.reserve(counts[userCountAt]);
  rooms.reserve(total - counts[userCountAt]);
  const takeUsers: TakeNames = (lane, words, end) => users.restore(lane, words, end);
  const takeRooms: TakeNames = (lane, words, end) => rooms.restore(lane, words, end);
  const progress = (): void => onProgress(users.count + rooms.count, total);
  const taken = { users: users.names, rooms: rooms.names };
  await readTables(environment, taken, takeUsers, takeRooms, progress, snapshot);
  checkCounts(counts, users.names, rooms.names);
}

/** The same without the way from a name to its number. @param users holds the name of nobody, and no other */
export async function readNames(
  environment: Environment,
  users: Names,
  rooms: Names,
  snapshot: Snapshot,
): Promise<void> {
  const into =
    (names: Names): TakeNames =>
    (lane, words, end) => {
      for (let at = 0; at < end;) {
        const byteLength = words[at] & lengthMask;
        const needsEscape = (words[at] & escapeFlag) !== 0;
        names.append(lane, words, byteLength, needsEscape, at);
        at += wordsOfName(byteLength);
      }
    };
  await readTables(environment, { users, rooms }, into(users), into(rooms), () => undefined, snapshot);
  checkCounts(readNameCounts(environment, snapshot), users, rooms);
}

async function readTables(
  environment: Environment,
  { users, rooms }: { users: Names; rooms: Names },
  takeUsers: TakeNames,
  takeRooms: TakeNames,
  progress: () => void,
  snapshot: Snapshot | undefined,
): Promise<void> {
  const userBlockAt = (block: number): Place => ({ lane: 0, block });
  await readTable(
    environment.userNames,
    takeUsers,
    () => countOfUsers(users),
    userBlockAt,
    progress,
    snapshot,
  );
  const roomBlockAt = (key: number): Place => ({
    lane: partitionOfRoomBlock(key),
    block: blockOfRoomBlock(key),
  });
  const countOfRooms = (lane: number): number => rooms.countOf(lane);
  await readTable(environment.roomNames, takeRooms, countOfRooms, roomBlockAt, progress, snapshot);
  progress();
}

function checkCounts(counts: Uint32Array, users: Names, rooms: Names): void {
  for (const [lane, count] of counts.entries()) {
    const isUsers = lane === userCountAt;
    const found = isUsers ? countOfUsers(users) : rooms.countOf(lane);
    if (found === count) continue;
    const what = isUsers ? 'users' : `the rooms of partition ${lane}`;
    throw damaged(`${found} names of ${what} are there, and ${count} should be`);
  }
}

/** Nobody has the first number of users, and no name. */
function countOfUsers(users: Names): number {
  return users.countOf(0) - 1;
}

interface Place {
  readonly lane: number;
  readonly block: number;
}

async function readTable(
  table: Table<number>,
  take: TakeNames,
  countOf: (lane: number) => number,
  placeOf: (key: number) => Place,
  progress: () => void,
  snapshot: Snapshot | undefined,
): Promise<void> {
  const scan = table.scan({}, snapshot);
  for (let read = 0, key = scan.next(); key !== undefined; key = scan.next(), read += 1) {
    const place = placeOf(key);
    const before = countOf(place.lane);
    // All blocks in front of it are there, and full.
    if (before !== place.block * namesPerBlock)
      throw damaged(
        `block ${place.block} of the names of lane ${place.lane} begins behind ${before} of them`,
      );
    if (scan.length % 4 !== 0 || scan.length > blockBytes.length - 4)
      throw damaged(`block ${place.block} of the names of lane ${place.lane} has ${scan.length} bytes`);
    blockBytes.set(scan.bytes.subarray(0, scan.length));
    try {
      take(place.lane, blockWords, scan.length / 4);
    } catch (error) {
      throw damaged(`block ${place.block} of the names of lane ${place.lane}: ${messageOf(error)}`);
    }
    const names = countOf(place.lane) - before;
    if (names > namesPerBlock)
      throw damaged(`block ${place.block} of the names of lane ${place.lane} has ${names} of them`);
    if (read % blocksPerStep === blocksPerStep - 1) {
      progress();
      await setImmediate();
    }
  }
}

function damaged(what: string): PublicError {
  return new PublicError('DAMAGED', `the store is damaged: ${what}; put a backup in its place`);
}
