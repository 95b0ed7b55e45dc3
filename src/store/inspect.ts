/**
 * Reads a store in a process of its own: LMDB does not survive every damaged file, and what ends then is that process.
 * Before a server opens a store, `probeStore` reads all of it once; `verify` checks what it reads.
 *
 * Cost: a process (40 ms), and reading the file: what a start reads afterwards is in the system's cache then.
 */
import { execFile } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PublicError, messageOf, type PublicErrorCode } from '../base/errors.js';
import { workerUrl } from '../base/worker-thread.js';
import type { StoreTotals } from './verify.js';

/** What the process is to do. */
export type Inspection = 'probe' | 'verify';

/** What it writes to stdout, as JSON. */
export type Inspected =
  { readonly totals: StoreTotals | undefined } | { readonly code: PublicErrorCode; readonly message: string };

/** @throws PublicError DAMAGED when it cannot be read to its end */
export async function probeStore(path: string): Promise<void> {
  await inspect('probe', path);
}

/** The check of verify.ts. @throws PublicError INVALID, DAMAGED with the first fault */
export async function verifyInProcess(path: string): Promise<StoreTotals> {
  const totals = await inspect('verify', path);
  if (totals === undefined) throw new PublicError('DAMAGED', `${path} could not be verified`);
  return totals;
}

async function inspect(inspection: Inspection, path: string): Promise<StoreTotals | undefined> {
  const program = fileURLToPath(workerUrl('store/inspect-process', import.meta.url));
  const text = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, [program, inspection, path], (error, stdout) => {
      if (error === null) resolve(stdout);
      else reject(failureOf(path, error));
    });
  });
  const inspected = JSON.parse(text) as Inspected;
  if ('code' in inspected) throw new PublicError(inspected.code, inspected.message);
  return inspected.totals;
}

function failureOf(path: string, error: { signal?: NodeJS.Signals | null }): PublicError {
  // Ours, or of whoever is short of memory.
  const isEnded = error.signal === 'SIGTERM' || error.signal === 'SIGINT' || error.signal === 'SIGKILL';
  if (typeof error.signal !== 'string' || isEnded)
    return new PublicError('UNAVAILABLE', `${path} could not be read (${messageOf(error)})`, {
      cause: error,
    });
  return new PublicError(
    'DAMAGED',
    `${path} is damaged: reading it ends in ${error.signal}; put a backup in its place`,
    { cause: error },
  );
}
