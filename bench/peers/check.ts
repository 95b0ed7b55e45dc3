/** Does a peer answer rightly? Everything it says about each pair is compared with the population itself. */
import type { Population } from '../data/population.js';
import { pageSize, type NamedPair, type Page, type Peer, type Rooms } from './peer.js';

/** @throws at the first wrong answer */
export async function checkAnswers(
  peer: Peer,
  pairs: readonly NamedPair[],
  population: Population,
): Promise<void> {
  for (const pair of pairs) {
    const expected = commonRooms(population, pair);
    const fail = (what: string): never => {
      throw new Error(`${peer.name} is wrong about ${pair.userIds.join(' and ')}: ${what}`);
    };
    const all = roomIdsOf(await peer.allRooms(pair), population);
    if (all.length !== expected.size || !isDistinctPart(all, expected))
      fail(`it knows ${all.length} common rooms, and there are ${expected.size}`);
    const { count, page } = await peer.firstPage(pair);
    if (count !== expected.size) fail(`it counts ${count} common rooms, and there are ${expected.size}`);
    const first = roomIdsOf(roomsOnPage(page), population);
    if (first.length !== Math.min(count, pageSize) || !isDistinctPart(first, expected))
      fail(`its page of ${first.length} rooms is not one of ${count}`);
    const shares = await peer.shares(pair);
    if (shares !== expected.size > 0) fail(`it says ${shares} to ${expected.size} common rooms`);
  }
}

function commonRooms(population: Population, { users: [user, other] }: NamedPair): ReadonlySet<string> {
  if (user === -1 || other === -1) return new Set();
  const rooms = new Set(population.roomsOf(user));
  const common = population.roomsOf(other).filter((room) => rooms.has(room));
  return new Set(Array.from(common, (room) => population.roomId(room)));
}

function isDistinctPart(rooms: readonly string[], whole: ReadonlySet<string>): boolean {
  return new Set(rooms).size === rooms.length && rooms.every((room) => whole.has(room));
}

function roomsOnPage(page: Page): Rooms {
  if (page instanceof Uint32Array) return page;
  return JSON.parse(typeof page === 'string' ? page : `[${Buffer.from(page).toString()}]`) as string[];
}

function roomIdsOf(rooms: Rooms, population: Population): readonly string[] {
  return rooms instanceof Uint32Array ? Array.from(rooms, (room) => population.roomId(room)) : rooms;
}
