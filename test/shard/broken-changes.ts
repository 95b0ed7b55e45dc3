/** Lets a shard of this thread fail in the middle of making changes, as a full heap or a fault of ours would. */
import { onTestFinished, vi } from 'vitest';
import { RoomSets } from '../../src/sets/room-sets.js';

// The class's own, called on whichever sets it is for.
const { add } = RoomSets.prototype;

/** @param joins how many joins are made from now on before one throws; with several numbers, one behind each of them throws */
export function breakAfter(...joins: readonly number[]): void {
  let made = 0;
  const spy = vi.spyOn(RoomSets.prototype, 'add').mockImplementation(function (this: RoomSets, handle, room) {
    if (joins.includes(made++)) throw new Error('no memory for a set');
    return add.call(this, handle, room);
  });
  onTestFinished(() => spy.mockRestore());
}
