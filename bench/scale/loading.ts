/**
 * Tells an index a whole population, in lists as an import brings them, by strings that nobody has seen before. Only the
 * index's own time is counted; memory for the lists is bounded.
 */
import { fresh } from '../data/pairs.js';
import type { Population } from '../data/population.js';

export interface Loaded {
  readonly memberships: number;
  /** In the index. */
  readonly seconds: number;
  /** The longest that one list took. */
  readonly longestListMs: number;
}

export interface LoadedChange {
  readonly userId: string;
  readonly roomId: string;
  readonly joined: true;
}

const changesPerList = 5_000;

export async function loadInto(
  population: Population,
  apply: (changes: readonly LoadedChange[]) => unknown,
): Promise<Loaded> {
  const roomIds = Array.from({ length: population.rooms }, (_, room) => population.roomId(room));
  let memberships = 0;
  let milliseconds = 0;
  let longestListMs = 0;
  let list: LoadedChange[] = [];
  const flush = async (): Promise<void> => {
    const started = performance.now();
    await apply(list);
    const took = performance.now() - started;
    milliseconds += took;
    longestListMs = Math.max(longestListMs, took);
    memberships += list.length;
    list = [];
  };
  for (let user = 0; user < population.users; user += 1) {
    const userId = population.userId(user);
    for (const room of population.roomsOf(user))
      list.push({ userId: fresh(userId), roomId: fresh(roomIds[room]), joined: true });
    if (list.length >= changesPerList) await flush();
  }
  await flush();
  return { memberships, seconds: milliseconds / 1000, longestListMs };
}
