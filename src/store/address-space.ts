/**
 * Whether there is room in the address space of this process for a file that is to be mapped. Without it LMDB's addon ends the
 * process without a word, and that looks like a damaged file. Only a limit (`ulimit -v`) makes it scarce; where the system
 * does not tell of one (no /proc), there is none to be found.
 *
 * Cost: a read of /proc/self/limits; the rest is read only where there is a limit.
 */
import { readFileSync, realpathSync } from 'node:fs';
import { PublicError } from '../base/errors.js';

/** What else the process is about to take: its heap, and in a server threads (0.7 GB each) and WebAssembly (11 GB). */
const readingBytes = 2 ** 29;
const servingBytes = 2 ** 34;

/**
 * @param isServed whether the file is mapped for a server, up to its bound
 * @throws PublicError UNAVAILABLE when so many bytes of the file cannot be mapped
 */
export function checkAddressSpace(path: string, bytes: number, isServed: boolean): void {
  const limit = Number(/^Max address space +(\d+)/m.exec(read('limits'))?.[1] ?? Infinity);
  if (limit === Infinity) return;
  const taken = Number(/^VmSize:\s+(\d+) kB/m.exec(read('status'))?.[1] ?? 0) * 1024;
  const needed = taken + bytes + (isServed ? servingBytes : readingBytes);
  if (needed <= limit || isMapped(path)) return;
  throw new PublicError(
    'UNAVAILABLE',
    `cannot map ${bytes} bytes of ${path}: the process may have ${limit} bytes of address space, and needs ${needed}; ` +
      `raise its limit (ulimit -v)${isServed ? ', or lower store.bytes_max' : ''}`,
  );
}

/** Whether another thread, or this one, has the file open: LMDB shares what is mapped. */
function isMapped(path: string): boolean {
  try {
    return read('maps').includes(` ${realpathSync(path)}\n`);
  } catch {
    return false;
  }
}

function read(name: string): string {
  try {
    return readFileSync(`/proc/self/${name}`, 'utf8');
  } catch {
    return '';
  }
}
