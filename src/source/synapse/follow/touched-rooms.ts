/**
 * Which rooms were changed since it was asked: those that cannot be compared with what was read before. Bounded by
 * `roomsTouchedMax`; beyond it, and when all was copied anew, nothing can be compared.
 */
import { roomsTouchedMax } from '../bounds.js';

export class TouchedRooms {
  readonly #rooms = new Set<string>();
  #isEverything = false;

  add(roomId: string): void {
    if (this.#isEverything) return;
    this.#rooms.add(roomId);
    if (this.#rooms.size > roomsTouchedMax) this.addAll();
  }

  addAll(): void {
    this.#isEverything = true;
    this.#rooms.clear();
  }

  has(roomId: string): boolean {
    return this.#rooms.has(roomId);
  }

  isEverything(): boolean {
    return this.#isEverything;
  }

  get size(): number {
    return this.#rooms.size;
  }
}
