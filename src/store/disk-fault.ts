/**
 * What LMDB and the system say when the store cannot be written, as an error that says what to do. Errors do not keep
 * their codes from thread to thread, so a fault travels as this.
 */
import { PublicError, messageOf, type PublicErrorCode } from '../base/errors.js';

export interface DiskFault {
  readonly code: PublicErrorCode;
  readonly message: string;
  /** Nothing can be written any more until the process starts anew. */
  readonly isFinal: boolean;
}

const retryAfterSeconds = 30;

/** By what `error.code` is: errno of the system, or a number of LMDB. */
const noSpace = new Set<unknown>([28, 122, 27]);
const readOnlyDisk = new Set<unknown>([30, 13, 1]);
const corrupted = new Set<unknown>([-30796, -30797, -30793]);

export function diskFaultOf(error: unknown): DiskFault {
  if (error instanceof PublicError) return { code: error.code, message: error.message, isFinal: false };
  const { code } = error as { code?: unknown };
  const said = messageOf(error);
  if (noSpace.has(code)) {
    return fault(
      'FULL',
      `the disk of the store is full (${said}): free some space; nothing of this batch was kept`,
    );
  }
  if (readOnlyDisk.has(code)) {
    return fault('UNAVAILABLE', `the store cannot be written (${said}): make its folder writable`);
  }
  if (corrupted.has(code)) {
    return fault('DAMAGED', `the store is damaged (${said}): put a backup in its place`, true);
  }
  // After a write that failed in another way LMDB may not know any more what is on the disk, and must not be asked.
  return fault(
    'UNAVAILABLE',
    `the store cannot be written any more (${said}): look at the disk, and start the server anew`,
    true,
  );
}

function fault(code: PublicErrorCode, message: string, isFinal = false): DiskFault {
  return { code, message, isFinal };
}

/** The error that a fault stands for. */
export function publicErrorOf({ code, message }: DiskFault, cause?: unknown): PublicError {
  return new PublicError(code, message, {
    ...(code === 'UNAVAILABLE' && { retryAfterSeconds }),
    ...(cause !== undefined && { cause }),
  });
}
