/**
 * Finds the store in a data directory, or a place for one, and refuses anything else without touching it. Nothing here opens
 * LMDB, which crashes on a file that is not its own.
 */
import {
  accessSync,
  closeSync,
  constants,
  existsSync,
  fsyncSync,
  mkdirSync,
  openSync,
  readSync,
  readdirSync,
  rmSync,
  statSync,
  statfsSync,
} from 'node:fs';
import { dirname, join, resolve } from 'node:path';
import { PublicError, messageOf } from '../base/errors.js';
import { storeFileName, unfinishedFileName } from './layout.js';

const lockSuffix = '-lock';
const ourFiles = new Set([storeFileName, unfinishedFileName].flatMap((name) => [name, name + lockSuffix]));

/** Enough for a lock file and an empty store. */
const spaceBytesMin = 2 ** 18;

/** LMDB's meta page (format 2 of its files): the header of a page, then a mark and the format's number. */
const metaHeadBytes = 56;
const markAt = 24;
const mark = 0xbeefc0de;
const formatAt = 28;
const lmdbFormat = 2;
const pageBytesAt = 48;

/** @returns the path of the store in the directory. @throws PublicError INVALID when there is none */
export function findStore(directory: string): string {
  const path = join(directory, storeFileName);
  if (!existsSync(path)) {
    throw new PublicError(
      'INVALID',
      `${directory} holds no store: there is no ${storeFileName}; correct data_dir`,
    );
  }
  checkFile(path);
  return path;
}

/** What is in a directory: a store or nothing. The directory itself may not be there yet. */
export interface FoundDirectory {
  readonly path: string;
  readonly holds: 'store' | 'nothing';
  readonly exists: boolean;
}

/**
 * Looks at a directory, and changes nothing.
 * @throws PublicError INVALID when something else is there; UNAVAILABLE when it cannot be read
 */
export function examineDirectory(directory: string): FoundDirectory {
  const path = join(directory, storeFileName);
  let entries: string[];
  try {
    if (!existsSync(directory)) return { path, holds: 'nothing', exists: false };
    entries = readdirSync(directory);
  } catch (error) {
    throw cannotBeUsed(directory, error);
  }
  if (entries.includes(storeFileName)) {
    checkFile(path);
    return { path, holds: 'store', exists: true };
  }
  const foreign = entries.find((name) => !ourFiles.has(name) && name !== 'lost+found');
  if (foreign === undefined) return { path, holds: 'nothing', exists: true };
  throw new PublicError(
    'INVALID',
    `${directory} holds something else (${foreign}) and no ${storeFileName}: give data_dir a folder of its own`,
  );
}

/** The same, and makes the directory if it is not there. */
export function prepareDirectory(directory: string): FoundDirectory {
  const found = examineDirectory(directory);
  try {
    makeDirectory(directory);
  } catch (error) {
    throw cannotBeUsed(directory, error);
  }
  // On a disk that cannot be written LMDB does without a lock file.
  if (!existsSync(found.path + lockSuffix) && isWritable(directory)) checkSpace(directory);
  return found;
}

/**
 * With what is missing above it; nobody else may look into what is made. Node's own (`recursive`) goes round for ever where a
 * file system makes no folders, like /proc.
 * @throws what the system answers
 */
export function makeDirectory(directory: string): void {
  const missing: string[] = [];
  for (let folder = resolve(directory); !existsSync(folder); folder = dirname(folder)) missing.push(folder);
  for (const folder of missing.reverse()) {
    try {
      mkdirSync(folder, { mode: 0o700 });
    } catch (error) {
      // Somebody else may have made it meanwhile.
      if (!existsSync(folder)) throw error;
    }
  }
}

function cannotBeUsed(directory: string, cause: unknown): PublicError {
  const { code } = cause as NodeJS.ErrnoException;
  const isForbidden = code === 'EACCES' || code === 'EPERM';
  const advice = isForbidden ? `give it to the user of the server (chown ${userId()} ${directory}), or ` : '';
  const said = `data_dir ${directory} cannot be used (${messageOf(cause)})`;
  return new PublicError('UNAVAILABLE', `${said}: ${advice}name another folder`, { cause });
}

/** Windows has none. */
function userId(): string {
  return String(process.geteuid?.() ?? '');
}

/**
 * Checks that there is space for LMDB's lock file. LMDB writes to that file in memory, and on a full disk such a write ends the
 * process.
 * @throws PublicError FULL
 */
export function checkSpace(directory: string): void {
  const { bavail, bsize } = statfsSync(directory);
  if (bavail * bsize < spaceBytesMin)
    throw new PublicError('FULL', `the disk of ${directory} is full: free some space`);
}

function isWritable(directory: string): boolean {
  try {
    accessSync(directory, constants.W_OK);
    return true;
  } catch {
    return false;
  }
}

/** Path of the copy that a compaction makes before it takes the place of the store. */
export function unfinishedPath(directory: string): string {
  return join(directory, unfinishedFileName);
}

/** Only the owner of the store calls it: the copy may belong to another process. */
export function removeUnfinished(directory: string): void {
  for (const suffix of ['', lockSuffix]) rmSync(unfinishedPath(directory) + suffix, { force: true });
}

/** Makes the names of the directory's files durable. */
export function syncDirectory(directory: string): void {
  const handle = openSync(directory, 'r');
  try {
    fsyncSync(handle);
  } finally {
    closeSync(handle);
  }
}

/** @throws PublicError INVALID, DAMAGED: what LMDB would not survive */
function checkFile(path: string): void {
  const first = Buffer.alloc(metaHeadBytes);
  const size = readHead(path, first);
  if (first.readUInt32LE(markAt) !== mark || first.readUInt32LE(formatAt) !== lmdbFormat) {
    throw new PublicError(
      'INVALID',
      `${path} is no store of mutual-rooms, or its head is damaged: put a backup in its place, or correct data_dir`,
    );
  }
  const pageBytes = first.readUInt32LE(pageBytesAt);
  const second = Buffer.alloc(metaHeadBytes);
  if (size >= 2 * pageBytes) readAt(path, second, pageBytes);
  if (second.readUInt32LE(markAt) !== mark || second.readUInt32LE(formatAt) !== lmdbFormat) {
    throw new PublicError('DAMAGED', `${path} is damaged at its head: put a backup in its place`);
  }
}

/** @returns the size of the file; what is no file has a head of zeroes. @throws PublicError UNAVAILABLE */
function readHead(path: string, target: Buffer): number {
  try {
    const status = statSync(path);
    if (status.isFile()) readAt(path, target, 0);
    return status.size;
  } catch (error) {
    throw new PublicError('UNAVAILABLE', `${path} cannot be read (${messageOf(error)}): correct that`, {
      cause: error,
    });
  }
}

function readAt(path: string, target: Buffer, position: number): void {
  const handle = openSync(path, 'r');
  try {
    readSync(handle, target, 0, target.length, position);
  } finally {
    closeSync(handle);
  }
}
