/**
 * What one writes first: a Map of user ID to a Set of room IDs. Each room ID is kept as one string, however many are in
 * the room (a second Map sees to that while loading); without, a membership would take a string more.
 */
import { pageSize, type Answer, type LocalPeer, type Member, type NamedPair } from './peer.js';

const noRooms: ReadonlySet<string> = new Set();

export class MapPeer implements LocalPeer {
  readonly name = 'a JS Map of Sets';
  readonly where = 'in process';
  readonly #rooms = new Map<string, Set<string>>();
  readonly #oneString = new Map<string, string>();

  add(members: readonly Member[]): void {
    for (const { userId, roomIds } of members) {
      let rooms = this.#rooms.get(userId);
      if (rooms === undefined) this.#rooms.set(userId, (rooms = new Set()));
      for (const roomId of roomIds) rooms.add(this.#onlyOne(roomId));
    }
  }

  #onlyOne(roomId: string): string {
    const known = this.#oneString.get(roomId);
    if (known === undefined) this.#oneString.set(roomId, roomId);
    return known ?? roomId;
  }

  firstPage(pair: NamedPair): Answer {
    const rooms = this.allRooms(pair);
    return { count: rooms.length, page: JSON.stringify(rooms.sort().slice(0, pageSize)) };
  }

  shares(pair: NamedPair): boolean {
    const [small, large] = this.#smallerFirst(pair);
    for (const room of small) if (large.has(room)) return true;
    return false;
  }

  allRooms(pair: NamedPair): string[] {
    const [small, large] = this.#smallerFirst(pair);
    const common: string[] = [];
    for (const room of small) if (large.has(room)) common.push(room);
    return common;
  }

  #smallerFirst({ userIds: [userId, otherId] }: NamedPair): [ReadonlySet<string>, ReadonlySet<string>] {
    const rooms = this.#rooms.get(userId) ?? noRooms;
    const others = this.#rooms.get(otherId) ?? noRooms;
    return rooms.size <= others.size ? [rooms, others] : [others, rooms];
  }
}
