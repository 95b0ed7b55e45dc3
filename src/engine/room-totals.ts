/** Sums over the members of each room, by the room's name. */
import type { RoomNo } from '../base/ids.js';
import type { Interner } from '../directory/interner.js';
import type { RoomSums } from '../shard/room-sums.js';

/** Of one room. */
export interface RoomTotal {
  /** How many are joined. */
  readonly count: number;
  /** The sum of their hashes. */
  readonly hash: number;
}

export class RoomTotals {
  readonly #sums: RoomSums;
  readonly #rooms: Interner<RoomNo>;

  constructor(sums: RoomSums, rooms: Interner<RoomNo>) {
    this.#sums = sums;
    this.#rooms = rooms;
  }

  /** What the sums of a room were: they are nothing afterwards. */
  take(roomId: string): RoomTotal {
    const room = this.#rooms.find(roomId);
    return room === -1 ? { count: 0, hash: 0 } : this.#sums.take(room);
  }

  /** Those that anybody is joined to, and whose sums were not taken. */
  *roomIds(): Generator<string> {
    for (const room of this.#sums.rooms()) yield this.#rooms.names.text(room);
  }
}
