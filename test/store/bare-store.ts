/** A store without names: room sets and changes by their numbers, for what needs no more; and what is in it, the plain way. */
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import {
  partitionOf,
  partitionRanges,
  roomNoEnd,
  sequenceBits,
  type RoomNo,
  type UserNo,
} from '../../src/base/ids.js';
import { roomNames, userNames } from '../../src/directory/interner.js';
import { portableCount, portableFault, readPortable } from '../../src/sets/portable.js';
import { changeWord } from '../../src/log/changes.js';
import { newMeta } from '../../src/store/identity.js';
import {
  partitionOfPartKey,
  partsMarkBytes,
  roomsPerRecordMax,
  roomsPerRecordMin,
  userOfPartKey,
} from '../../src/store/layout.js';
import { nameCountsLength, userCountAt } from '../../src/directory/name-counts.js';
import { Environment } from '../../src/store/lmdb.js';
import { RoomSetLoad } from '../../src/store/load.js';
import { putNameCounts } from '../../src/store/name-blocks.js';
import { StoreWriter } from '../../src/store/store-writer.js';
import { wordsOf } from '../../src/store/words.js';
import { newFolder } from './kept-store.js';

const instance = 'of-the-test';

/** Users are below it. */
const usersMax = 100;

export function newEnvironment(): Environment {
  const environment = new Environment({ path: join(newFolder(), 'index.mdb'), create: true });
  onTestFinished(() => environment.close());
  environment.write(() => {
    newMeta(environment, randomBytes);
    // As if all numbers that are used had names.
    const counts = new Uint32Array(nameCountsLength).fill(2 ** sequenceBits);
    counts[userCountAt] = usersMax;
    putNameCounts(environment, counts);
    environment.putMeta('owner', { instance, host: 'here', pid: 1, started: '' });
  });
  return environment;
}

export function newWriter(environment: Environment, recentChangesMax: number): StoreWriter {
  return new StoreWriter(environment, userNames(), roomNames(), instance, {
    bytesMax: 2 ** 40,
    recentChangesMax,
  });
}

export interface NumberedChange {
  readonly user: number;
  readonly room: number;
  readonly joined: boolean;
}

export function wordsOfChanges(changes: readonly NumberedChange[]): Uint32Array {
  return Uint32Array.from(
    changes.flatMap(({ user, room, joined }) => [user, changeWord(room as RoomNo, joined)]),
  );
}

/** Room sets as they should be. */
export class Sets {
  readonly #rooms = new Map<number, Set<number>>();

  apply(changes: readonly NumberedChange[]): void {
    for (const { user, room, joined } of changes) {
      const rooms = this.#rooms.get(user) ?? new Set();
      this.#rooms.set(user, rooms);
      if (joined) rooms.add(room);
      else rooms.delete(room);
    }
  }

  /** The rooms of everybody who has some, ascending both ways. */
  get all(): [number, number[]][] {
    return [...this.#rooms]
      .filter(([, rooms]) => rooms.size > 0)
      .map(([user, rooms]): [number, number[]] => [user, [...rooms].sort((left, right) => left - right)])
      .sort(([left], [right]) => left - right);
  }
}

/** What shards would load: the records with the recent changes behind them. */
export async function stateOf({ path }: Environment, shards = 1): Promise<[number, number[]][]> {
  const state = new Sets();
  for (const partitions of partitionRanges(shards)) {
    const load = new RoomSetLoad(path, partitions, {
      restore: (user: UserNo, rooms, count) =>
        state.apply([...rooms.subarray(0, count)].map((room) => ({ user, room, joined: true }))),
      apply: (words) => {
        for (let at = 0; at < words.length; at += 2)
          state.apply([{ user: words[at], room: words[at + 1] >>> 1, joined: (words[at + 1] & 1) === 1 }]);
      },
    });
    while (load.step(7));
    await load.close();
  }
  return state.all;
}

/**
 * What the records alone hold. Throws for what is no set, for a form that does not fit the size, for parts that nobody
 * counts, and for counts of the whole that are wrong.
 */
export function recordsOf(environment: Environment): [number, number[]][] {
  const sets = new Map<number, number[]>();
  const marks = new Map<number, number>();
  const take = (user: number, bytes: Uint8Array, length: number): number[] => {
    const fault = portableFault(bytes, length);
    if (fault !== undefined) throw new Error(`user ${user}: ${fault}`);
    const rooms = new Uint32Array(portableCount(bytes, length));
    readPortable(bytes, length, 0, roomNoEnd + 1, rooms);
    if (rooms.length === 0) throw new Error(`user ${user} has an empty record`);
    sets.set(user, [...(sets.get(user) ?? []), ...rooms]);
    return [...rooms];
  };
  const users = environment.users.scan({});
  for (let user = users.next(); user !== undefined; user = users.next()) {
    if (users.length === partsMarkBytes) marks.set(user, wordsOf(users.bytes, users.length)[0]);
    else if (take(user, users.bytes, users.length).length > roomsPerRecordMax)
      throw new Error(`user ${user} has one record for too many rooms`);
  }
  const parts = environment.parts.scan({});
  for (let key = parts.next(); key !== undefined; key = parts.next()) {
    const user = userOfPartKey(key);
    const partition = partitionOfPartKey(key);
    if (!marks.has(user)) throw new Error(`user ${user} has parts and no mark`);
    for (const room of take(user, parts.bytes, parts.length))
      if (partitionOf(room as RoomNo) !== partition)
        throw new Error(`room ${room} of user ${user} is in part ${partition}`);
  }
  for (const [user, count] of marks) {
    const found = sets.get(user)?.length ?? 0;
    if (found !== count) throw new Error(`user ${user} has ${found} rooms in parts, and a mark of ${count}`);
    if (count < roomsPerRecordMin) throw new Error(`user ${user} has parts for ${count} rooms`);
  }
  const counts = environment.getMeta('counts');
  const memberships = [...sets.values()].reduce((sum, rooms) => sum + rooms.length, 0);
  if (counts?.memberships !== memberships || counts.users !== sets.size)
    throw new Error(`counts say ${JSON.stringify(counts)}, and there are ${memberships} of ${sets.size}`);
  return [...sets].sort(([left], [right]) => left - right);
}

/** Numbers of the commits that are not folded yet. */
export function recentOf(environment: Environment): number[] {
  const numbers: number[] = [];
  const scan = environment.recent.scan({});
  for (let number = scan.next(); number !== undefined; number = scan.next()) numbers.push(number);
  return numbers;
}

/** Whether a user's rooms are in parts. */
export function hasParts(environment: Environment, user: number): boolean {
  return environment.users.get(user) && environment.users.length === partsMarkBytes;
}
