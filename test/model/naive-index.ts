/**
 * What would the plainest index answer? The oracle of every test that compares: a map of sets, no numbers, no forms.
 *
 * Rooms are answered sorted by their text, because the order that the real index has is its own affair.
 */
export interface NaiveChange {
  readonly userId: string;
  readonly roomId: string;
  readonly joined: boolean;
}

export class NaiveIndex {
  readonly #rooms = new Map<string, Set<string>>();

  /** @returns whether that is news */
  join(userId: string, roomId: string): boolean {
    const rooms = this.#rooms.get(userId) ?? new Set();
    this.#rooms.set(userId, rooms);
    if (rooms.has(roomId)) return false;
    rooms.add(roomId);
    return true;
  }

  /** @returns whether that is news */
  leave(userId: string, roomId: string): boolean {
    return this.#rooms.get(userId)?.delete(roomId) ?? false;
  }

  apply(changes: Iterable<NaiveChange>): { applied: number; ignored: number } {
    let applied = 0;
    let ignored = 0;
    for (const { userId, roomId, joined } of changes) {
      if (joined ? this.join(userId, roomId) : this.leave(userId, roomId)) applied += 1;
      else ignored += 1;
    }
    return { applied, ignored };
  }

  /** The rooms that all these users are joined to, sorted. */
  mutual(users: readonly string[]): string[] {
    if (users.length === 0) return [];
    const [first, ...others] = users.map((user) => this.#rooms.get(user) ?? new Set<string>());
    return [...first].filter((room) => others.every((rooms) => rooms.has(room))).sort();
  }

  shares(userId: string, otherId: string): boolean {
    return this.mutual([userId, otherId]).length > 0;
  }

  roomsOf(userId: string): string[] {
    return this.mutual([userId]);
  }

  /** @returns out of how many rooms the user was taken */
  forgetUser(userId: string): number {
    const count = this.#rooms.get(userId)?.size ?? 0;
    this.#rooms.delete(userId);
    return count;
  }

  /** @returns how many users were in the room */
  forgetRoom(roomId: string): number {
    let count = 0;
    for (const rooms of this.#rooms.values()) if (rooms.delete(roomId)) count += 1;
    return count;
  }

  /** How many memberships there are. */
  get count(): number {
    let count = 0;
    for (const rooms of this.#rooms.values()) count += rooms.size;
    return count;
  }
}
