/** Roaring without names: a live bitmap of room numbers for each user, who is given by number too. */
import roaring from 'roaring';
import { pageSize, type Answer, type LocalPeer, type Member, type NamedPair } from './peer.js';

const { RoaringBitmap32 } = roaring;
type Bitmap = InstanceType<typeof RoaringBitmap32>;

export class BitmapPeer implements LocalPeer {
  readonly name = 'a Roaring bitmap a user';
  readonly where = 'in process, by numbers';
  readonly #rooms = new Map<number, Bitmap>();
  readonly #none = new RoaringBitmap32();

  add(members: readonly Member[]): void {
    for (const { user, rooms } of members) {
      const bitmap = new RoaringBitmap32(rooms);
      bitmap.shrinkToFit();
      this.#rooms.set(user, bitmap);
    }
  }

  firstPage(pair: NamedPair): Answer {
    const common = this.#intersection(pair);
    const answer = { count: common.size, page: common.toUint32Array(pageSize) };
    // Else the native memory stays until the garbage collector, which does not see it, finds a reason to look.
    common.dispose();
    return answer;
  }

  shares({ users: [user, other] }: NamedPair): boolean {
    return this.#roomsOf(user).intersects(this.#roomsOf(other));
  }

  allRooms(pair: NamedPair): Uint32Array {
    return this.#intersection(pair).toUint32Array();
  }

  #intersection({ users: [user, other] }: NamedPair): Bitmap {
    return RoaringBitmap32.and(this.#roomsOf(user), this.#roomsOf(other));
  }

  #roomsOf(user: number): Bitmap {
    return this.#rooms.get(user) ?? this.#none;
  }

  close(): void {
    for (const bitmap of this.#rooms.values()) bitmap.dispose();
  }
}
