/**
 * What is a peer here, and what is it asked? Something an operator could keep memberships in instead of this index; it is
 * told the same memberships and asked the same two questions, by bench/peers.ts.
 *
 * There are two kinds. A local peer answers at once, in this process; a server answers across a unix socket, in a process
 * of its own, so it may use a core that this process does not. Who answers "by numbers" is spared both names of a question
 * and all names of its answer: it says where the limit is, not what could be used.
 */
import { fresh } from '../data/pairs.js';
import type { Population } from '../data/population.js';

/** Rooms in a first page. */
export const pageSize = 100;

/** One user and the rooms that the user is joined to, in no order; the strings are new ones, as a parser makes them. */
export interface Member {
  readonly user: number;
  readonly userId: string;
  readonly rooms: Uint32Array;
  readonly roomIds: readonly string[];
}

/** Who is asked about. */
export interface NamedPair {
  readonly userIds: readonly [string, string];
  /** The same by numbers; -1 is a user whom nobody has seen. */
  readonly users: readonly [number, number];
}

/** Room IDs; or their numbers, from a peer that answers by numbers. */
export type Rooms = readonly string[] | Uint32Array;

/** A page of rooms, ready to be sent: a JSON array, or its bytes without the brackets. By numbers, just the numbers. */
export type Page = string | Uint8Array | Uint32Array;

export interface Answer {
  /** How many rooms the two share in all. */
  readonly count: number;
  /** The first `pageSize` of them in the peer's own order, which must be one that a next page could go on from. */
  readonly page: Page;
}

interface Described {
  readonly name: string;
}

export interface LocalPeer extends Described {
  readonly where: 'in process' | 'in process, by numbers';
  add(members: readonly Member[]): void;
  /** Called once, after the last `add`. */
  finish?(): void;
  firstPage(pair: NamedPair): Answer;
  shares(pair: NamedPair): boolean;
  /** Not timed: the whole intersection, in any order. */
  allRooms(pair: NamedPair): Rooms;
  close?(): void;
}

export interface ServerPeer extends Described {
  readonly where: 'unix socket';
  /** What `bytes` counts. */
  readonly bytesAre: string;
  add(members: readonly Member[]): Promise<void>;
  finish?(): Promise<void>;
  firstPage(pair: NamedPair): Promise<Answer>;
  shares(pair: NamedPair): Promise<boolean>;
  allRooms(pair: NamedPair): Promise<Rooms>;
  /** What the memberships take, by the server's own account. */
  bytes(): Promise<number>;
  /** Ends the server, and leaves nothing behind. */
  close(): Promise<void>;
}

export type Peer = LocalPeer | ServerPeer;

/** Users in one `add`. */
const membersPerBatch = 1_000;

/** The whole population, in batches. */
export function* memberBatches(population: Population): Generator<readonly Member[]> {
  for (let first = 0; first < population.users; first += membersPerBatch) {
    const count = Math.min(membersPerBatch, population.users - first);
    yield Array.from({ length: count }, (_, index) => memberOf(population, first + index));
  }
}

function memberOf(population: Population, user: number): Member {
  const rooms = population.roomsOf(user).slice();
  const roomIds = Array.from(rooms, (room) => fresh(population.roomId(room)));
  return { user, userId: fresh(population.userId(user)), rooms, roomIds };
}
