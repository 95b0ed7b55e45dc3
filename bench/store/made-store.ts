/**
 * A store of a population, made without the way through names and commits: its names and room sets by the writer's own
 * code, in the order of users. So a hundred million memberships take a minute or two. What comes in by itself takes users
 * in any order, and its pages are less full. Forked by the benches of the store.
 */
import { rmSync } from 'node:fs';
import type { RoomNo, UserNo } from '#dist/base/ids';
import { Directory } from '#dist/directory/directory';
import { changeWord } from '#dist/log/changes';
import { Environment } from '#dist/store/lmdb';
import { LmdbStore } from '#dist/store/lmdb-store';
import { NameBlocks } from '#dist/store/name-blocks';
import { RoomSetRecords } from '#dist/store/room-set-records';
import { answerOrder } from '../child.js';
import { Population } from '../data/population.js';

export interface MakingOrder {
  /** Is emptied first. */
  readonly directory: string;
  readonly users: number;
  readonly rooms: number;
}

export interface MadeStore {
  readonly memberships: number;
  readonly bytes: number;
  readonly seconds: number;
}

const usersPerCommit = 20_000;

class Maker {
  readonly #population: Population;
  readonly #environment: Environment;
  readonly #directory = new Directory();
  readonly #names: NameBlocks;
  readonly #records: RoomSetRecords;
  readonly #roomNos: Uint32Array;
  readonly #words: Uint32Array;

  constructor(population: Population, environment: Environment) {
    this.#population = population;
    this.#environment = environment;
    this.#names = new NameBlocks(environment, this.#directory.users.names, this.#directory.rooms.names);
    this.#records = new RoomSetRecords(environment);
    this.#words = new Uint32Array(population.roomsPerUserMax);
    this.#roomNos = Uint32Array.from({ length: population.rooms }, (_, room) =>
      this.#directory.rooms.intern(population.roomId(room)),
    );
  }

  /** @returns how many memberships there are */
  make(): number {
    const { users } = this.#population;
    for (let first = 0; first < users; first += usersPerCommit) {
      this.#environment.write(() => this.#add(first, Math.min(users, first + usersPerCommit)));
    }
    return this.#records.memberships;
  }

  #add(first: number, end: number): void {
    for (let user = first; user < end; user += 1) this.#directory.users.intern(this.#population.userId(user));
    const counts = this.#directory.counts();
    this.#names.write(counts);
    this.#names.stored(counts);
    // Users begin at 1.
    for (let user = first; user < end; user += 1)
      this.#fold((user + 1) as UserNo, this.#population.roomsOf(user));
    const { memberships, users } = this.#records;
    this.#environment.putMeta('counts', { memberships, users });
  }

  #fold(user: UserNo, rooms: Uint32Array): void {
    const words = this.#words;
    for (let index = 0; index < rooms.length; index += 1)
      words[index] = changeWord(this.#roomNos[rooms[index]] as RoomNo, true);
    words.subarray(0, rooms.length).sort();
    this.#records.fold(user, words, 0, rooms.length);
  }
}

async function make({ directory, users, rooms }: MakingOrder): Promise<MadeStore> {
  rmSync(directory, { recursive: true, force: true });
  const started = performance.now();
  const store = await LmdbStore.open({ directory });
  await store.close();
  const environment = new Environment({ path: store.path });
  const memberships = new Maker(new Population({ users, rooms }), environment).make();
  const { bytes } = environment;
  await environment.close();
  return { memberships, bytes, seconds: (performance.now() - started) / 1000 };
}

await answerOrder(make);
