/**
 * Turns what LMDB and the system say when the store cannot be written into a fault that says what to do. It is plain data,
 * because errors lose their codes on the way from one thread to another.
 */
import { statfsSync } from 'node:fs';
import { dirname } from 'node:path';
import { PortableFault } from '../sets/portable.js';
import { LostStore } from './owner.js';
import { PublicError, messageOf, type PublicErrorCode } from '../base/errors.js';
import { resourceFaultOf } from '../base/resource-fault.js';

export interface DiskFault {
  readonly code: PublicErrorCode;
  readonly message: string;
  /** Nothing can be written any more until the process starts anew. */
  readonly isFinal: boolean;
  /** Another process has taken the store over, or it is gone. */
  readonly isLost?: boolean;
}

const retryAfterSeconds = 30;

/** Values of `error.code`: an errno of the system, or a number of LMDB. */
const noSpace = new Set<unknown>([28, 122, 27]);
const readOnlyDisk: unknown = 30;
const notAllowed = new Set<unknown>([13, 1]);
/** LMDB's answer when the disk took only a part of a write: the last write before it is full, or a disk that fails. */
const partOfWrite: unknown = 5;
const corrupted = new Set<unknown>([-30796, -30797, -30793]);

/** When less than this is free, a write that was taken in part is believed to have failed for want of space. */
const littleSpaceBytes = 16 * 2 ** 20;

/** @param path of the store */
export function diskFaultOf(error: unknown, path: string): DiskFault {
  if (error instanceof LostStore)
    return { code: error.code, message: error.message, isFinal: false, isLost: true };
  if (error instanceof PublicError) return { code: error.code, message: error.message, isFinal: false };
  if (error instanceof PortableFault)
    return fault('DAMAGED', `${path} is damaged (${error.message}): put a backup in its place`);
  const resource = resourceFaultOf(error);
  if (resource !== undefined) return fault('UNAVAILABLE', `the store cannot be used: ${resource}`);
  const { code } = error as { code?: unknown };
  // Behind the system's words the package names what it did last, which need not be what failed.
  const said = messageOf(error).split(':')[0];
  if (noSpace.has(code) || (code === partOfWrite && hasLittleSpace(path))) {
    return fault(
      'FULL',
      `the disk of the store is full (${said}): free some space; nothing of this batch was kept`,
    );
  }
  if (code === readOnlyDisk || notAllowed.has(code)) {
    return fault('UNAVAILABLE', `the store cannot be written (${said}): make its folder writable`);
  }
  if (corrupted.has(code)) {
    return fault('DAMAGED', `the store is damaged (${said}): put a backup in its place`, true);
  }
  return fault('UNAVAILABLE', `the store cannot be written (${said}): look at the disk`);
}

export function isReadOnlyDisk(error: unknown): boolean {
  return (error as { code?: unknown }).code === readOnlyDisk;
}

/** The fault after which LMDB does not know what is on the disk, and must not be asked to write any more. */
export function finalFaultOf(error: unknown): DiskFault {
  const said = messageOf(error).split(':')[0];
  return fault(
    'UNAVAILABLE',
    `the store cannot be written any more (${said}): look at the disk, and start the server anew`,
    true,
  );
}

function hasLittleSpace(path: string): boolean {
  const { bavail, bsize } = statfsSync(dirname(path));
  return bavail * bsize < littleSpaceBytes;
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
