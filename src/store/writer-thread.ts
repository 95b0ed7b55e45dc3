/**
 * What runs in the store's thread: a `StoreWriter`, and the tasks for it. Waiting for the disk holds nobody else up.
 */
import { assert } from '../base/assert.js';
import { Names, type NamesSubscription } from '../directory/names.js';
import type { Draft } from '../log/commit.js';
import { diskFaultOf, finalFaultOf, type DiskFault } from './disk-fault.js';
import { GatedThread } from './exit-gate.js';
import { Environment } from './lmdb.js';
import { removeOwner } from './owner.js';
import { StoreWriter, type StoreLimits } from './store-writer.js';

export type WriterTask =
  | {
      readonly kind: 'open';
      readonly path: string;
      readonly instance: string;
      readonly limits: StoreLimits;
      readonly gate: SharedArrayBuffer;
      readonly users: NamesSubscription;
      readonly rooms: NamesSubscription;
    }
  | { readonly kind: 'commit'; readonly draft: Draft }
  | { readonly kind: 'fold'; readonly changesMax: number }
  /** The store is owned by nobody then. */
  | { readonly kind: 'close'; readonly instance: string };

export interface WriterAnswer {
  /** How much is to be folded before the next large commit. */
  readonly debt: number;
  /** The number of the last commit. */
  readonly last: number;
  /** Why nothing was written. */
  readonly fault?: DiskFault;
}

let environment: Environment | undefined;
let writer: StoreWriter | undefined;
let gate: GatedThread | undefined;

/** Whether the last write failed: then LMDB is asked whether it can go on. */
let hasFailed = false;

export default async function run(task: WriterTask): Promise<WriterAnswer> {
  if (task.kind === 'close') {
    await close(task.instance);
    return state();
  }
  try {
    if (hasFailed) {
      // Else it might be one that was begun before.
      environment?.renew();
      environment?.snapshot().done();
    }
  } catch (error) {
    return { ...state(), fault: finalFaultOf(error) };
  }
  try {
    if (task.kind === 'open') gate = new GatedThread(task.gate);
    assert(gate !== undefined, 'a writer is opened first');
    gate.pass(() => (task.kind === 'open' ? open(task) : write(task)));
    hasFailed = false;
    return state();
  } catch (error) {
    hasFailed = true;
    return { ...state(), fault: diskFaultOf(error, environment?.path ?? '.') };
  }
}

function state(): { debt: number; last: number } {
  return { debt: writer?.debt ?? 0, last: writer?.last ?? 0 };
}

async function close(instance: string): Promise<void> {
  if (environment === undefined || gate === undefined) return;
  const opened = environment;
  try {
    gate.pass(() => removeOwner(opened, instance));
  } catch {
    // A full disk keeps the name of the owner; who opens the store next sees that this process has ended.
  }
  await opened.close();
}

function open({ path, instance, limits, users, rooms }: WriterTask & { kind: 'open' }): void {
  assert(environment === undefined, 'a writer is opened once');
  environment = new Environment({ path, bytesMax: limits.bytesMax });
  writer = new StoreWriter(environment, Names.open(users), Names.open(rooms), instance, limits);
}

function write(task: WriterTask & { kind: 'commit' | 'fold' }): void {
  assert(writer !== undefined && environment !== undefined, 'a writer is opened first');
  // Half a microsecond where nobody reads.
  environment.removeDeadReaders();
  if (task.kind === 'fold') {
    writer.fold(task.changesMax);
    return;
  }
  writer.commit(task.draft);
}
