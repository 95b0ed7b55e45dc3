/**
 * Reads a store in a process of its own, because LMDB crashes on some damaged files: then only that process ends. `probeStore`
 * reads all of a store once before a server opens it; `verifyInProcess` checks what it reads as well.
 *
 * Cost: a process (40 ms), and reading the file, which a start then finds in the system's cache.
 */
import { execFile, type ExecFileException } from 'node:child_process';
import { fileURLToPath } from 'node:url';
import { PublicError, messageOf, type PublicErrorCode } from '../base/errors.js';
import { resourceFaultOf } from '../base/resource-fault.js';
import { workerUrl } from '../base/worker-thread.js';
import type { StoreTotals } from './verify.js';

/** What the process is to do. */
export type Inspection = 'probe' | 'verify';

/** What it writes to stdout, as JSON. */
export type Inspected =
  | { readonly totals: StoreTotals | undefined }
  | { readonly code: PublicErrorCode; readonly message: string; readonly isNumberTaken: boolean };

/** Where the number of the process is taken (lmdb.ts), another process has another one. */
const processesMax = 3;

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
  for (let processes = 1; ; processes += 1) {
    const inspected = await runProcess(inspection, path);
    if (!('code' in inspected)) return inspected.totals;
    if (!inspected.isNumberTaken || processes === processesMax)
      throw new PublicError(inspected.code, inspected.message);
  }
}

async function runProcess(inspection: Inspection, path: string): Promise<Inspected> {
  const program = fileURLToPath(workerUrl('store/inspect-process', import.meta.url));
  const text = await new Promise<string>((resolve, reject) => {
    execFile(process.execPath, [program, inspection, path], (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else reject(failureOf(path, error, stderr));
    });
  });
  return JSON.parse(text) as Inspected;
}

function failureOf(path: string, error: ExecFileException, stderr: string): PublicError {
  // An exit code is no errno.
  const cause = typeof error.code === 'string' ? error : /.*out of memory.*/i.exec(stderr)?.[0];
  const resource = resourceFaultOf(cause);
  if (resource !== undefined)
    return new PublicError('UNAVAILABLE', `${path} could not be read: ${resource}`, { cause: error });
  // A signal that says nothing of the store: from a person, or from a system that is short of memory.
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
