/**
 * A store of a population, made without the way through names and commits: its names and room sets by the writer's own
 * code, in the order of users. So a hundred million memberships take a minute or two. What comes in by itself takes users
 * in any order, and its pages are less full.
 */
import { rmSync } from 'node:fs';
import { partitionCount, type UserNo } from '#dist/base/ids';
import { roomInterner, userInterner } from '#dist/intern/interner';
import { changeWord } from '#dist/shard/wire';
import { nameCountsLength, userCountAt } from '#dist/store/layout';
import { Environment } from '#dist/store/lmdb';
import { LmdbStore } from '#dist/store/lmdb-store';
import { NameBlocks } from '#dist/store/name-blocks';
import { RoomSetRecords } from '#dist/store/room-set-records';
import type { Population } from '../data/population.js';

const usersPerCommit = 20_000;

export interface MadeStore {
  readonly memberships: number;
  readonly bytes: number;
}

/** @param directory is emptied first */
export async function makeStore(directory: string, population: Population): Promise<MadeStore> {
  rmSync(directory, { recursive: true, force: true });
  const store = await LmdbStore.open({ directory });
  await store.close();
  const environment = new Environment({ path: store.path });
  const users = userInterner();
  const rooms = roomInterner();
  const names = new NameBlocks(environment, users.names, rooms.names);
  const records = new RoomSetRecords(environment);
  const roomNos = Uint32Array.from({ length: population.rooms }, (_, room) =>
    rooms.intern(population.roomId(room)),
  );
  const words = new Uint32Array(population.roomsPerUserMax);
  for (let first = 0; first < population.users; first += usersPerCommit) {
    const end = Math.min(population.users, first + usersPerCommit);
    environment.write(() => {
      for (let user = first; user < end; user += 1) users.intern(population.userId(user));
      const counts = new Uint32Array(nameCountsLength);
      for (let lane = 0; lane < partitionCount; lane += 1) counts[lane] = rooms.names.countOf(lane);
      counts[userCountAt] = users.count;
      names.write(counts);
      names.stored(counts);
      for (let user = first; user < end; user += 1) {
        const drawn = population.roomsOf(user);
        for (let index = 0; index < drawn.length; index += 1)
          words[index] = changeWord(roomNos[drawn[index]] as never, true);
        words.subarray(0, drawn.length).sort();
        records.fold((user + 1) as UserNo, words, 0, drawn.length);
      }
      environment.putMeta('counts', { memberships: records.memberships, users: records.users });
    });
  }
  const made = { memberships: records.memberships, bytes: environment.bytes };
  await environment.close();
  return made;
}
