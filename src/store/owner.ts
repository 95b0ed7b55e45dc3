/**
 * One process writes a store. Each opening puts its name into the store, and each transaction looks whether it is still
 * there: two that write would give the same numbers to different names. So whatever happens, the one that was there
 * first writes nothing any more once another one has opened the store.
 *
 * That it does not come to this, an opening first asks whether the last owner is alive: a process of this machine with
 * that number which was started at that time. It cannot see into another container; there the check above decides.
 */
import { readFileSync, statSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { PublicError } from '../base/errors.js';
import { removeUnfinished } from './data-directory.js';
import type { StoredOwner } from './layout.js';
import { Environment } from './lmdb.js';

/**
 * Opens a store to write in it. A compaction puts another file in the place of this one; whoever opened the old one a
 * moment before would write to a file that nobody finds any more. So once it is owned, the path is looked at again. What
 * an owner before left unfinished is removed.
 * @param instance random
 * @param check of what is in it; nothing has been written then
 * @throws what `check` throws; PublicError UNAVAILABLE when a living process owns the store, or it was replaced meanwhile
 */
export async function openOwned(
  path: string,
  instance: string,
  check: (environment: Environment) => void,
): Promise<Environment> {
  const file = fileOf(path);
  const environment = new Environment({ path });
  try {
    check(environment);
    environment.write(() => {
      takeOver(environment, makeOwner(instance));
      if (fileOf(path) === file) return;
      throw new PublicError('UNAVAILABLE', `${path} was replaced while it was being opened: start again`);
    });
    ownersHere.add(instance);
    removeUnfinished(dirname(path));
    return environment;
  } catch (error) {
    await environment.close();
    throw error;
  }
}

/** Owners of this process: those that it has opened and not released. */
const ownersHere = new Set<string>();

/** What tells a file from another one that is put in its place. */
function fileOf(path: string): string {
  const { dev, ino } = statSync(path, { bigint: true });
  return `${dev}:${ino}`;
}

function makeOwner(instance: string): StoredOwner {
  return { instance, host: hostname(), pid: process.pid, started: startedOf(process.pid) };
}

/**
 * Only inside `Environment.write`.
 * @throws PublicError UNAVAILABLE when a living process owns the store
 */
function takeOver(environment: Environment, owner: StoredOwner): void {
  const before = environment.getMeta('owner');
  if (before !== undefined && isAlive(before)) {
    throw new PublicError(
      'UNAVAILABLE',
      `${environment.path} is in use by process ${before.pid}: stop that, or give each server a data_dir of its own`,
    );
  }
  environment.putMeta('owner', owner);
}

/** @throws PublicError UNAVAILABLE when somebody else has opened the store since */
export function checkOwner(environment: Environment, instance: string): void {
  const owner = environment.getMeta('owner');
  if (owner?.instance === instance) return;
  const who = owner === undefined ? 'somebody else' : `process ${owner.pid} on ${owner.host}`;
  throw new LostStore(
    `${who} has opened ${environment.path} since: only one server may have it; nothing is written here any more`,
  );
}

/** Another process has opened the store: what this one has grows old. */
export class LostStore extends PublicError {
  constructor(message: string) {
    super('UNAVAILABLE', message);
  }
}

/** Nobody owns the store from now on, if it is still this one that does. */
export function release(environment: Environment, instance: string): void {
  forgetOwner(instance);
  removeOwner(environment, instance);
}

/** In this process. */
export function forgetOwner(instance: string): void {
  ownersHere.delete(instance);
}

/** In the store, whichever thread writes it. */
export function removeOwner(environment: Environment, instance: string): void {
  environment.write(() => {
    if (environment.getMeta('owner')?.instance === instance) environment.removeMeta('owner');
  });
}

function isAlive({ instance, pid, host, started }: StoredOwner): boolean {
  if (host !== hostname()) return false;
  try {
    process.kill(pid, 0);
  } catch (error) {
    // It is there, but another user's.
    if ((error as NodeJS.ErrnoException).code !== 'EPERM') return false;
  }
  // This process knows better: an owner of its own that could not be taken out any more, on a full disk, has ended.
  if (pid === process.pid && !ownersHere.has(instance)) return false;
  // Where the system does not say when a process was started, the number may be another one's by now.
  return started !== '' && started === startedOf(pid);
}

/** When a process was started, in ticks since the machine was; empty where there is no /proc. */
function startedOf(pid: number): string {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, and may hold anything.
    const fields = stat.slice(stat.lastIndexOf(')') + 2).split(' ');
    // A zombie: it has ended, and its parent has not looked yet.
    return fields[0] === 'Z' ? '' : fields[19];
  } catch {
    return '';
  }
}
