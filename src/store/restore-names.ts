/**
 * Reads all names of the store into interners, block by block, in steps between which the event loop turns.
 * Cost: under half a microsecond a name, nearly all of it the interner's.
 */
import { setImmediate } from 'node:timers/promises';
import { PublicError, messageOf } from '../base/errors.js';
import { nameBytesMax } from '../base/limits.js';
import type { RoomNo, UserNo } from '../base/ids.js';
import { wordsOf as wordsOfName } from '../intern/encoder.js';
import type { Interner } from '../intern/interner.js';
import { blockOfRoomBlock, namesPerBlock, partitionOfRoomBlock, userCountAt } from './layout.js';
import type { Environment, Snapshot, Table } from './lmdb.js';
import { readNameCounts } from './name-blocks.js';
import type { Progress } from './store.js';

/** Blocks in one step: 4,096 names, about a millisecond. */
const blocksPerStep = 128;

/** One word more, as `restore` wants it. */
const blockWords = new Uint32Array(namesPerBlock * wordsOfName(nameBytesMax) + 1);
const blockBytes = new Uint8Array(blockWords.buffer);

export async function restoreNames(
  environment: Environment,
  users: Interner<UserNo>,
  rooms: Interner<RoomNo>,
  onProgress: Progress,
  snapshot?: Snapshot,
): Promise<void> {
  const counts = readNameCounts(environment, snapshot);
  const userCount = counts[userCountAt];
  const total = counts.reduce((sum, count) => sum + count, 0);
  users.reserve(userCount);
  rooms.reserve(total - userCount);
  const progress = (): void => onProgress(users.count + rooms.count, total);
  await restoreTable(environment.userNames, users, (block) => ({ lane: 0, block }), progress, snapshot);
  const placeOf = (key: number): Place => ({ lane: partitionOfRoomBlock(key), block: blockOfRoomBlock(key) });
  await restoreTable(environment.roomNames, rooms, placeOf, progress, snapshot);
  progress();
  const restored = [...counts.keys()].map((lane) =>
    // Nobody has the first number of users, and no name.
    lane === userCountAt ? users.names.countOf(0) - 1 : rooms.names.countOf(lane),
  );
  for (const [lane, count] of counts.entries()) {
    if (restored[lane] === count) continue;
    const what = lane === userCountAt ? 'users' : `the rooms of partition ${lane}`;
    throw damaged(`${restored[lane]} names of ${what} are there, and ${count} should be`);
  }
}

interface Place {
  readonly lane: number;
  readonly block: number;
}

async function restoreTable(
  table: Table<number>,
  interner: Interner<number>,
  placeOf: (key: number) => Place,
  progress: () => void,
  snapshot: Snapshot | undefined,
): Promise<void> {
  const scan = table.scan({}, snapshot);
  let expected: Place = { lane: 0, block: 0 };
  for (let read = 0, key = scan.next(); key !== undefined; key = scan.next(), read += 1) {
    const place = placeOf(key);
    if (place.block !== (place.lane === expected.lane ? expected.block : 0))
      throw damaged(`block ${place.block} of the names of lane ${place.lane} follows on none`);
    expected = { lane: place.lane, block: place.block + 1 };
    if (scan.length % 4 !== 0 || scan.length > blockBytes.length - 4)
      throw damaged(`block ${place.block} of the names of lane ${place.lane} has ${scan.length} bytes`);
    blockBytes.set(scan.bytes.subarray(0, scan.length));
    try {
      interner.restore(place.lane, blockWords, scan.length / 4);
    } catch (error) {
      throw damaged(`block ${place.block} of the names of lane ${place.lane}: ${messageOf(error)}`);
    }
    if (read % blocksPerStep === blocksPerStep - 1) {
      progress();
      await setImmediate();
    }
  }
}

function damaged(what: string): PublicError {
  return new PublicError('DAMAGED', `the store is damaged: ${what}; put a backup in its place`);
}
