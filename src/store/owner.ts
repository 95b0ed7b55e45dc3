/**
 * One process writes a store. Each opening puts its name into the store, and each transaction looks whether it is still
 * there: two that write would give the same numbers to different names. So whatever happens, the one that was there
 * first writes nothing any more once another one has opened the store.
 *
 * That it does not come to this, an opening first asks whether the last owner is alive: a process of this machine with
 * that number which was started at that time. Where nothing says when a process was started, one of that number is enough. It
 * cannot see into another container; there the check above decides.
 */
import { spawnSync } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { hostname } from 'node:os';
import { dirname } from 'node:path';
import { PublicError } from '../base/errors.js';
import { removeUnfinished } from './data-directory.js';
import { carryOver } from './identity.js';
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
  { bytesMax = 0, startOf = systemStartOf }: OwnedOptions = {},
): Promise<Environment> {
  const environment = new Environment({ path, bytesMax });
  try {
    check(environment);
    environment.write(() => {
      takeOver(environment, instance, startOf);
      carryOver(environment);
      if (environment.isInPlace()) return;
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

export interface OwnedOptions {
  readonly bytesMax?: number;
  /** When a process was started, in any form that another start does not have; empty where nothing says so. */
  readonly startOf?: (pid: number) => string;
}

/** Owners of this process: those that it has opened and not released. */
const ownersHere = new Set<string>();

/**
 * Only inside `Environment.write`.
 * @throws PublicError UNAVAILABLE when a living process owns the store
 */
function takeOver(environment: Environment, instance: string, startOf: (pid: number) => string): void {
  const before = environment.getMeta('owner');
  if (before !== undefined && isThere(before)) {
    const started = startOf(before.pid);
    const isKnown = started !== '' && before.started !== '';
    if (!isKnown || started === before.started) throw inUse(environment.path, before.pid, isKnown);
  }
  environment.putMeta('owner', {
    instance,
    host: hostname(),
    pid: process.pid,
    started: startOf(process.pid),
  });
}

function inUse(path: string, pid: number, isKnown: boolean): PublicError {
  const advice = isKnown
    ? 'stop that, or give each server a data_dir of its own'
    : 'stop that; where it is another program, which got the number of a server that was killed, take a copy by ' +
      '"mutual-rooms backup" as data_dir';
  return new PublicError('UNAVAILABLE', `${path} is in use by process ${pid}: ${advice}`);
}

/**
 * @throws PublicError UNAVAILABLE when somebody else has opened the store since, or the file is not at its path any more: what
 *   is written then is lost with it
 */
export function checkOwner(environment: Environment, instance: string): void {
  if (!environment.isInPlace()) {
    throw new LostStore(
      `the store is not at ${environment.path} any more (removed, moved, or hidden by a mount): put it back, or start the ` +
        'server anew; nothing is written until then',
    );
  }
  const owner = environment.getMeta('owner');
  if (owner?.instance === instance) return;
  const who = owner === undefined ? 'somebody else' : `process ${owner.pid} on ${owner.host}`;
  throw new LostStore(
    `${who} has opened ${environment.path} since: only one server may have it; nothing is written here any more`,
  );
}

/** Another process has opened the store, or it is gone: what this one has grows old. */
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

/** Whether there is a process of this machine with the owner's number. */
function isThere({ instance, pid, host }: StoredOwner): boolean {
  if (host !== hostname()) return false;
  // This process knows better: an owner of its own that could not be taken out any more, on a full disk, has ended.
  if (pid === process.pid) return ownersHere.has(instance);
  try {
    process.kill(pid, 0);
    return !isZombie(pid);
  } catch (error) {
    // It is there, but another user's.
    return (error as NodeJS.ErrnoException).code === 'EPERM';
  }
}

/** By /proc in ticks since the machine was started, else as `ps` tells it (macOS, BSD); Windows has neither. */
function systemStartOf(pid: number): string {
  const ticks = statOf(pid)?.[19];
  if (ticks !== undefined) return ticks;
  const env = { PATH: '/usr/bin:/bin', LC_ALL: 'C', TZ: 'UTC' };
  const { error, stdout } = spawnSync('ps', ['-o', 'lstart=', '-p', String(pid)], { env, encoding: 'utf8' });
  return error === undefined ? stdout.trim() : '';
}

/** One that has ended, and its parent has not looked yet. */
function isZombie(pid: number): boolean {
  return statOf(pid)?.[0] === 'Z';
}

/** What /proc says of a process, from its state on; undefined where there is no /proc. */
function statOf(pid: number): string[] | undefined {
  try {
    const stat = readFileSync(`/proc/${pid}/stat`, 'utf8');
    // The second field is the program's name in parentheses, and may hold anything.
    return stat.slice(stat.lastIndexOf(')') + 2).split(' ');
  } catch {
    return undefined;
  }
}
