/**
 * The engine as the server has it: a directory of names, the shards, and who answers from both. `MembershipEngine`
 * (membership-engine.ts) is what the library shows of it.
 */
import { PublicError } from '../base/errors.js';
import { Directory } from '../directory/directory.js';
import type { LoadedSets } from '../store/load.js';
import type { Progress, Store } from '../store/store.js';
import { Answerer } from './answerer.js';
import type { IndexStats } from './questions.js';
import { Shards, type ShardsOptions } from './shards.js';
import { sumOf } from './sum-of.js';

export interface Engine {
  readonly directory: Directory;
  readonly shards: Shards;
  readonly answerer: Answerer;
}

export interface StartOptions extends ShardsOptions {
  /** Worker threads, each with a contiguous share of the rooms, 1 to 64; 0 answers on the caller's thread. Default 0. */
  readonly shards?: number;
}

/** Starts an empty engine, which nothing is kept of. @throws PublicError INVALID when `shards` is no whole number from 0 to 64 */
export async function openEngine(options: StartOptions = {}): Promise<Engine> {
  return start(options, false);
}

export interface LoadedEngine extends Engine {
  /** IDs that were read from the store, and how many of them are joined to nothing: a compaction would drop those. */
  readonly known: number;
  readonly unused: number;
}

/**
 * Starts one with what a store holds: names are read on this thread, memberships in the shards, at the same time. Shards
 * that fail are loaded again. It writes nothing to the store.
 * @throws PublicError DAMAGED, UNAVAILABLE
 */
export async function loadEngine(
  store: Store,
  options: StartOptions & { readonly onProgress: Progress },
): Promise<LoadedEngine> {
  const { path } = store;
  const engine = await start(options, path !== undefined);
  const { directory, shards } = engine;
  try {
    const progressOf = progressOfParts(shards.count + 1, options.onProgress);
    const [names, sets] = await Promise.allSettled([
      store.restoreNames(directory, progressOf(0)),
      path === undefined ? [] : shards.load(path, store.state, (shard) => progressOf(shard + 1)),
    ]);
    if (names.status === 'rejected') throw names.reason;
    if (sets.status === 'rejected') throw sets.reason;
    const known = directory.users.count + directory.rooms.count;
    return { ...engine, known, unused: known - usedOf(sets.value) };
  } catch (error) {
    await shards.close();
    throw error;
  }
}

export async function statsOf({ directory, shards }: Engine): Promise<IndexStats> {
  const stats = await shards.stats();
  const users = directory.users.bytes;
  const rooms = directory.rooms.bytes;
  const bytesOf = (part: keyof (typeof stats)[number]['bytes']): number =>
    sumOf(stats.map(({ bytes }) => bytes[part]));
  return {
    memberships: sumOf(stats.map(({ memberships }) => memberships)),
    usersKnown: directory.users.count,
    roomsKnown: directory.rooms.count,
    bytes: {
      names: users.names + rooms.names,
      tables: users.table + rooms.table,
      handles: bytesOf('handles') + directory.userShards.bytes,
      packed: bytesOf('packed'),
      bitmaps: bytesOf('bitmaps'),
      rooms: bytesOf('rooms'),
    },
  };
}

async function start(options: StartOptions, isKept: boolean): Promise<Engine> {
  const threads = options.shards ?? 0;
  if (!Number.isInteger(threads) || threads < 0 || threads > 64)
    throw new PublicError('INVALID', `shards must be a whole number from 0 to 64, not ${threads}`);
  const directory = new Directory(Math.max(threads, 1));
  const shards = await Shards.open(directory, threads, isKept, options);
  return { directory, shards, answerer: new Answerer(directory, shards) };
}

/** How many names are in use: users in a room, rooms with members. */
function usedOf(loaded: readonly LoadedSets[]): number {
  const here = new Uint32Array(Math.max(0, ...loaded.map(({ users }) => users.length)));
  for (const { users } of loaded)
    for (let word = 0; word < users.length; word += 1) here[word] |= users[word];
  let used = sumOf(loaded.map(({ rooms }) => rooms));
  for (let word = 0; word < here.length; word += 1)
    for (let bits = here[word]; bits !== 0; bits &= bits - 1) used += 1;
  return used;
}

/** The progress of several parts as one. Told once each has said how much it has to do, so that it never goes back. */
function progressOfParts(count: number, onProgress: Progress): (part: number) => Progress {
  const parts = new Map<number, { done: number; total: number }>();
  return (part) => (done, total) => {
    parts.set(part, { done, total });
    if (parts.size < count) return;
    const told = [...parts.values()];
    onProgress(sumOf(told.map((each) => each.done)), sumOf(told.map((each) => each.total)));
  };
}
