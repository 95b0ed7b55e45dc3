/** Where is a program? On the PATH, or in a folder that Debian keeps off it. */
import { accessSync, constants } from 'node:fs';
import { delimiter, join } from 'node:path';

/** @param before folders that are looked through before those of the PATH */
export function findProgram(name: string, before: readonly string[] = []): string | undefined {
  const folders = [...before, ...(process.env.PATH ?? '').split(delimiter)];
  return folders.map((folder) => join(folder, name)).find(isExecutable);
}

function isExecutable(path: string): boolean {
  try {
    accessSync(path, constants.X_OK);
    return true;
  } catch {
    return false;
  }
}

/** This machine does not have something that is needed; the message says how to get it. Benches and tests leave out what needs it. */
export class NotInstalled extends Error {}

/**
 * For tests that skip where a program is missing, but not in CI when it could have been installed there.
 * @param find throws NotInstalled when something is missing
 * @returns what is missing and how to get it; undefined when all is there
 */
export function missingOf(find: () => void): string | undefined {
  try {
    find();
    return undefined;
  } catch (error) {
    const couldBeInstalled = process.getuid?.() === 0 && findProgram('apt-get') !== undefined;
    if (!(error instanceof NotInstalled) || (process.env.CI !== undefined && couldBeInstalled)) throw error;
    return error.message;
  }
}
