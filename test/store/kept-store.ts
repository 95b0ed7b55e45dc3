/** A store in a folder of its own, with names and memberships by their IDs: what tests of the store's tools begin with. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { Directory } from '../../src/directory/directory.js';
import { exportMemberships } from '../../src/store/export.js';
import { storeFileName } from '../../src/store/layout.js';
import { Environment } from '../../src/store/lmdb.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { changeWord } from '../../src/log/changes.js';
import type { Cursor } from '../../src/log/cursor.js';
import { draftOf } from './draft.js';
import { verifyStore, type StoreTotals } from '../../src/store/verify.js';

export function newFolder(): string {
  const folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-store-'));
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }));
  return folder;
}

/** A store that is open and takes changes; give it back with `close`. */
export class KeptStore {
  readonly directory: string;
  readonly path: string;
  readonly store: LmdbStore;
  readonly #directory = new Directory();
  readonly users = this.#directory.users;
  readonly rooms = this.#directory.rooms;

  static async open(directory: string): Promise<KeptStore> {
    const store = await LmdbStore.open({ directory });
    const kept = new KeptStore(directory, store);
    await store.restoreNames(kept.#directory, () => undefined);
    return kept;
  }

  private constructor(directory: string, store: LmdbStore) {
    this.directory = directory;
    this.path = join(directory, storeFileName);
    this.store = store;
  }

  /** One commit. */
  async commit(changes: readonly Change[], cursors: readonly Cursor[] = []): Promise<void> {
    await this.store.commit(draftOf(this.#directory, this.words(changes), cursors));
  }

  /** The changes in numbers. */
  words(changes: readonly Change[]): Uint32Array {
    return Uint32Array.from(
      changes.flatMap(({ userId, roomId, joined }) => [
        this.users.intern(userId),
        changeWord(this.rooms.intern(roomId), joined),
      ]),
    );
  }

  async close(): Promise<void> {
    await this.store.close();
  }
}

/** Makes a store of these changes, a commit each list, and closes it. @returns its folder */
export async function storeOf(...commits: (readonly Change[])[]): Promise<string> {
  const directory = newFolder();
  await addTo(directory, ...commits);
  return directory;
}

export async function addTo(directory: string, ...commits: (readonly Change[])[]): Promise<void> {
  const kept = await KeptStore.open(directory);
  for (const changes of commits) await kept.commit(changes);
  await kept.close();
}

export const joins = (userId: string, roomId: string): Change => ({ userId, roomId, joined: true });
export const leaves = (userId: string, roomId: string): Change => ({ userId, roomId, joined: false });

/** Everybody in every room. */
export function allIn(users: readonly string[], rooms: readonly string[]): Change[] {
  return users.flatMap((userId) => rooms.map((roomId) => joins(userId, roomId)));
}

export function ids(sigil: '@' | '!', name: string, count: number): string[] {
  return Array.from({ length: count }, (_, index) => `${sigil}${name}${index}:example.org`);
}

/** All memberships as "user room", sorted; through the lines of an export. */
export async function membershipsOf(directory: string): Promise<string[]> {
  let text = '';
  for await (const piece of exportMemberships(join(directory, storeFileName), () => undefined))
    text += piece.toString();
  return text
    .split('\n')
    .filter((line) => line !== '')
    .map((line) => {
      const record = JSON.parse(line) as Record<string, string>;
      if (record.membership !== 'join') throw new Error(line);
      return `${record.user_id} ${record.room_id}`;
    })
    .toSorted();
}

/** What is in a store that is whole. */
export async function totalsOf(directory: string): Promise<StoreTotals> {
  return verifyStore(join(directory, storeFileName));
}

/** What a list of changes leaves, in the same form. */
export function stateAfter(changes: readonly Change[]): string[] {
  const state = new Set<string>();
  for (const { userId, roomId, joined } of changes) {
    if (joined) state.add(`${userId} ${roomId}`);
    else state.delete(`${userId} ${roomId}`);
  }
  return [...state].toSorted();
}

/** Looks into a store, or changes what no program of ours would. */
export async function within<Result>(
  directory: string,
  look: (environment: Environment) => Result,
): Promise<Result> {
  const environment = new Environment({ path: join(directory, storeFileName) });
  try {
    return look(environment);
  } finally {
    await environment.close();
  }
}
