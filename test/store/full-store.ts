/** A store that has some of everything. */
import { readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { storeFileName } from '../../src/store/layout.js';
import { compactStore } from '../../src/store/compact.js';
import { addTo, allIn, ids, joins, leaves, newFolder, storeOf } from './kept-store.js';

const users = ids('@', 'user', 40);
export const rooms = ids('!', 'room', 250);

/** The file of one that was made: a copy is there at once. */
let made: Buffer | undefined;

/** A bot with parts, users with a few rooms, and changes that are not folded in. */
export async function fullStore(): Promise<string> {
  made ??= readFileSync(join(await makeStore(), storeFileName));
  const directory = newFolder();
  writeFileSync(join(directory, storeFileName), made);
  return directory;
}

async function makeStore(): Promise<string> {
  const directory = await storeOf([
    ...allIn(['@bot:x'], rooms),
    ...users.flatMap((user, index) => [joins(user, rooms[index]), joins(user, rooms[index + 7])]),
  ]);
  await compactStore({ directory });
  await addTo(directory, [joins('@late:x', rooms[3])], [leaves('@late:x', rooms[3])]);
  return directory;
}
