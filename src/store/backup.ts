/**
 * A copy of a store as of one commit, made by LMDB without its free pages, while a server may write. Meanwhile freed pages are not
 * used again, so the store grows by what is changed.
 */
import { chmodSync, readdirSync, renameSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { PublicError, messageOf } from '../base/errors.js';
import {
  checkSpace,
  makeDirectory,
  removeUnfinished,
  syncDirectory,
  unfinishedPath,
} from './data-directory.js';
import { checkFormat } from './identity.js';
import { storeFileName } from './layout.js';
import { Environment } from './lmdb.js';

/**
 * @param directory is made; one that is there is empty
 * @returns bytes of the copy
 * @throws PublicError INVALID, UNAVAILABLE; what the disk answers
 */
export async function backupStore(path: string, directory: string): Promise<number> {
  makeEmpty(directory);
  checkSpace(directory);
  const copy = unfinishedPath(directory);
  const target = join(directory, storeFileName);
  // Names are personal data: nobody else reads the copy, not even while it is being made.
  const umask = process.umask(0o077);
  try {
    const environment = new Environment({ path, readOnly: true });
    try {
      checkFormat(environment);
      await environment.copyTo(copy);
    } finally {
      await environment.close();
    }
    chmodSync(copy, 0o600);
    const copied = new Environment({ path: copy });
    // The owner of the store does not own the copy. And this write is durable: after it the copy is on the disk.
    copied.write(() => copied.removeMeta('owner'));
    await copied.close();
    renameSync(copy, target);
  } finally {
    process.umask(umask);
    removeUnfinished(directory);
  }
  syncDirectory(directory);
  return statSync(target).size;
}

function makeEmpty(directory: string): void {
  let found: string[];
  try {
    makeDirectory(directory);
    found = readdirSync(directory);
  } catch (error) {
    throw new PublicError(
      'UNAVAILABLE',
      `${directory} cannot be used (${messageOf(error)}): name another folder`,
      {
        cause: error,
      },
    );
  }
  if (found.length > 0)
    throw new PublicError('INVALID', `${directory} is not empty: a backup goes into a folder of its own`);
}
