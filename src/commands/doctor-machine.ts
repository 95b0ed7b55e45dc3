/** What `doctor` says of the machine: Node, its native modules, memory, and the folder of the store. It changes nothing. */
import { accessSync, constants, existsSync, statSync, statfsSync } from 'node:fs';
import { createRequire } from 'node:module';
import { freemem, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { messageOf } from '../base/errors.js';
import { fail, type Finding, ok, warn } from '../base/finding.js';
import type { Config } from '../config/load.js';
import { examineDirectory } from '../store/data-directory.js';
import { nativeModuleFault } from './native-module.js';

/** Node itself, the worker threads and a small index; beneath it the system is likely to end the process. */
const memoryBytesMin = 512 * 2 ** 20;

export function nodeVersion(version: string): Finding {
  const [major, minor] = version.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return ok('node', version);
  return fail('node', `${version} is too old; install Node 20.19 or later`);
}

/** Loaded by itself rather than with what uses it, so that each is a finding of its own: a second import would end the process. */
export function nativeModule(name: 'roaring' | 'lmdb'): Finding {
  try {
    createRequire(import.meta.url)(name);
    return ok(name, 'the native module loads');
  } catch (error) {
    const fault = nativeModuleFault(error) ?? `the native module does not load (${messageOf(error)})`;
    return fail(name, `${fault}; see native-notes.md`);
  }
}

export async function dataDirectory({ dataDir }: Config): Promise<Finding[]> {
  if (dataDir === null) return [warn('data_dir', 'null: memory only, so a restart forgets; give a folder')];
  try {
    const { exists, path, holds } = examineDirectory(dataDir);
    const near = nearestFolder(dataDir);
    accessSync(near, constants.W_OK);
    const { bavail, bsize } = statfsSync(near);
    const free = `${mebibytes(bavail * bsize)} free`;
    if (holds === 'nothing') {
      return [
        ok('data_dir', `${dataDir} ${exists ? 'is empty' : 'will be made'}: a store is made there, ${free}`),
      ];
    }
    const { size } = statSync(path);
    const text = `${dataDir} holds a store of ${mebibytes(size)}, ${free}`;
    // A compaction writes the store once more.
    if (bavail * bsize < size)
      return [warn('data_dir', `${text}: too little to compact it; free some space`)];
    return [ok('data_dir', `${text} ("mutual-rooms verify" looks at all of it)`)];
  } catch (error) {
    return [fail('data_dir', messageOf(error))];
  }
}

/** The folder itself, or the one that it would be made in. */
function nearestFolder(folder: string): string {
  return existsSync(folder) ? folder : nearestFolder(dirname(folder));
}

export function memory(limitBytes: number | undefined): Finding {
  // Without a limit the system reports none, or one beyond what there is.
  const limited = limitBytes !== undefined && limitBytes > 0 && limitBytes < totalmem();
  const totalBytes = limited ? limitBytes : totalmem();
  const free = limited ? '' : `, ${mebibytes(freemem())} free`;
  const text = `${mebibytes(totalBytes)}${limited ? ' for this container' : ''}${free}`;
  if (totalBytes >= memoryBytesMin) return ok('memory', text);
  return warn('memory', `${text}: that is little; give it ${mebibytes(memoryBytesMin)} or more`);
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}
