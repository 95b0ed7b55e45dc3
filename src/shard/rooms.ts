/**
 * What is known of each room of a shard: how many are joined to it. Kept with every change, and while a store is loaded.
 *
 * Cost: 4 bytes a room that was ever joined; one write a change.
 */
import { firstRoomOf, partitionCount, partitionOf, type RoomNo } from '../base/ids.js';

const none = new Uint32Array(0);
const roomsMin = 256;

export class Rooms {
  /** By partition and sequence. */
  readonly #members: Uint32Array[] = new Array<Uint32Array>(partitionCount).fill(none);
  /** How many rooms have members. */
  count = 0;

  /** One member more. */
  join(room: RoomNo): void {
    const partition = partitionOf(room);
    const sequence = room - firstRoomOf(partition);
    let members = this.#members[partition];
    if (sequence >= members.length) members = this.#enlarge(partition, sequence);
    if (members[sequence] === 0) this.count += 1;
    members[sequence] += 1;
  }

  /** One member less, of a room that has some. */
  leave(room: RoomNo): void {
    const partition = partitionOf(room);
    const sequence = room - firstRoomOf(partition);
    const members = this.#members[partition];
    members[sequence] -= 1;
    if (members[sequence] === 0) this.count -= 1;
  }

  /** How many are joined to each room of a partition, by its sequence; rooms behind the last one have nobody. A copy. */
  members(partition: number): Uint32Array {
    return this.#members[partition].slice();
  }

  get bytes(): number {
    return this.#members.reduce((sum, members) => sum + members.byteLength, 0);
  }

  #enlarge(partition: number, sequence: number): Uint32Array {
    const larger = new Uint32Array(Math.max(roomsMin, 2 ** Math.ceil(Math.log2(sequence + 1))));
    larger.set(this.#members[partition]);
    this.#members[partition] = larger;
    return larger;
  }
}
