/**
 * The store on disk: an LMDB environment in a data directory. Opens and checks it, and hands commits to its thread
 * (writer-thread.ts). Who else reads the file (shards that load, a backup) opens it by `path`.
 */
import { renameSync } from 'node:fs';
import { dirname } from 'node:path';
import { assert } from '../base/assert.js';
import { systemRandom, type RandomBytes } from '../base/clock.js';
import { PublicError, messageOf } from '../base/errors.js';
import { partitionCount, type RoomNo, type UserNo } from '../base/ids.js';
import { changesPerFoldMax, changesPerFoldMin, storeSilenceMaxMs } from '../base/limits.js';
import { WorkerThread, workerUrl } from '../base/worker-thread.js';
import type { Interner } from '../directory/interner.js';
import { NameGrowth } from '../directory/names.js';
import { prepareDirectory, removeUnfinished, syncDirectory, unfinishedPath } from './data-directory.js';
import { diskFaultOf, isReadOnlyDisk, publicErrorOf } from './disk-fault.js';
import { ExitGate } from './exit-gate.js';
import { checkFormat, identityOf, newMeta } from './identity.js';
import { cursorKey, nameCountsLength, userCountAt } from './layout.js';
import { Environment } from './lmdb.js';
import type { StoredState } from './load.js';
import { forgetOwner, openOwned, removeOwner } from './owner.js';
import { restoreNames } from './restore-names.js';
import type { Identity, Progress, Store, StoreBatch } from './store.js';
import type { StoreLimits } from './store-writer.js';
import type { WriterAnswer, WriterTask } from './writer-thread.js';

export interface LmdbStoreOptions {
  readonly directory: string;
  /** What is left out is as the configuration has it by default. */
  readonly limits?: Partial<StoreLimits>;
  readonly random?: RandomBytes;
  /** How long the store's thread may say nothing. */
  readonly silenceMaxMs?: number;
}

/** How long to wait for an answer that must be there already. */
const answerMomentMs = 500;

const defaultLimits: StoreLimits = { bytesMax: 2 ** 37, recentChangesMax: 2 ** 20 };

interface Settings {
  readonly limits: StoreLimits;
  readonly silenceMaxMs: number;
}

interface Writer {
  readonly thread: WorkerThread<WriterTask>;
  readonly gate: ExitGate;
  readonly users: NameGrowth;
  readonly rooms: NameGrowth;
}

export class LmdbStore implements Store {
  readonly identity: Identity;
  readonly path: string;
  failure: string | undefined;
  lostTo: string | undefined;
  debt = 0;
  readonly #environment: Environment;
  readonly #instance: string;
  readonly #settings: Settings;
  #users: Interner<UserNo> | undefined;
  #rooms: Interner<RoomNo> | undefined;
  #writer: Writer | undefined;
  /** How many names of each kind are stored. */
  #stored = new Uint32Array(nameCountsLength);
  #closing: Promise<void> | undefined;
  /** Whether its thread was given up without a word. */
  #isSilent = false;

  /**
   * Opens the store of a directory, or makes one there. On a disk that is full or mounted read-only the store is read,
   * and every commit refused.
   * @throws PublicError INVALID, DAMAGED, UNAVAILABLE, FULL
   */
  static async open(options: LmdbStoreOptions): Promise<LmdbStore> {
    const random = options.random ?? systemRandom;
    const { silenceMaxMs = storeSilenceMaxMs } = options;
    const settings = { limits: { ...defaultLimits, ...options.limits }, silenceMaxMs };
    const { path, holds } = prepareDirectory(options.directory);
    const isNew = holds === 'nothing';
    try {
      if (isNew) await createStore(path, random);
      return await LmdbStore.#open(path, random(16).toString('hex'), settings);
    } catch (error) {
      const { code, message } = diskFaultOf(error, path);
      if (isNew || !(isReadOnlyDisk(error) || code === 'FULL'))
        throw new PublicError(code, message, { cause: error });
      const environment = new Environment({ path, readOnly: true });
      const store = new LmdbStore(environment, checkedIdentity(environment), '', settings);
      store.failure = `${message}; then start the server anew`;
      return store;
    }
  }

  static async #open(path: string, instance: string, settings: Settings): Promise<LmdbStore> {
    let identity: Identity | undefined;
    const environment = await openOwned(path, instance, (opened) => {
      identity = checkedIdentity(opened);
    });
    assert(identity !== undefined, 'what is owned was looked at');
    return new LmdbStore(environment, identity, instance, settings);
  }

  private constructor(environment: Environment, identity: Identity, instance: string, settings: Settings) {
    this.#environment = environment;
    this.identity = identity;
    this.path = environment.path;
    this.#instance = instance;
    this.#settings = settings;
  }

  get state(): StoredState {
    return {
      epoch: this.identity.epoch,
      instance: this.#instance === '' ? undefined : this.#instance,
    };
  }

  get bytes(): number {
    return this.#environment.bytes;
  }

  cursor(source: string): Uint8Array | undefined {
    this.#environment.renew();
    return this.#environment.getBytes(cursorKey(source));
  }

  async restoreNames(
    users: Interner<UserNo>,
    rooms: Interner<RoomNo>,
    onProgress: Progress = () => undefined,
  ): Promise<void> {
    this.#users = users;
    this.#rooms = rooms;
    await restoreNames(this.#environment, users, rooms, onProgress);
    this.#stored = this.#nameCounts();
    // Now, so that the first commit does not wait for a thread to start.
    if (this.failure === undefined) await this.#openWriter();
  }

  async commit({ changes, isSorted, cursors }: StoreBatch): Promise<void> {
    const counts = this.#nameCounts();
    const isGrown = counts.some((count, at) => count !== this.#stored[at]);
    await this.#run((writer) => ({
      kind: 'commit',
      commit: { changes, isSorted, cursors, nameCounts: isGrown ? counts : undefined },
      userChunks: writer.users.take(),
      roomChunks: writer.rooms.take(),
    }));
    this.#stored = counts;
  }

  async settle(): Promise<void> {
    const changesMax = Math.min(changesPerFoldMax, Math.max(changesPerFoldMin, this.debt));
    await this.#run(() => ({ kind: 'fold', changesMax }));
  }

  async close(): Promise<void> {
    this.#closing ??= this.#close();
    await this.#closing;
  }

  async #close(): Promise<void> {
    const isWritable = this.failure === undefined;
    this.failure ??= 'the store is closed';
    const writer = this.#writer;
    forgetOwner(this.#instance);
    // One that has died is not here any more. What it cannot write, nobody can: LMDB may wait for ever.
    if (writer !== undefined) {
      await this.#ask(writer.thread, { kind: 'close', instance: this.#instance }).catch(() => undefined);
      if (writer.thread.failure === undefined) {
        await writer.thread.close('the store is closed');
        writer.gate.close();
      }
    } else if (isWritable) {
      try {
        removeOwner(this.#environment, this.#instance);
      } catch {
        // Like there.
      }
    }
    await this.#environment.close();
  }

  async #run(makeTask: (writer: Writer) => WriterTask): Promise<void> {
    if (this.failure !== undefined) throw new PublicError('UNAVAILABLE', this.failure);
    let answer: WriterAnswer;
    try {
      // Another one, when the last one died with nothing to do.
      const writer = this.#writer ?? (await this.#openWriter());
      answer = await this.#ask(writer.thread, makeTask(writer));
    } catch (error) {
      if (error instanceof PublicError) throw error;
      // It may have died in a transaction: then LMDB lets nobody in this process begin another one, and waits for ever.
      this.failure =
        `the thread of the store died while it wrote (${messageOf(error)}): start the server anew; ` +
        'what was acknowledged is safe';
      throw new PublicError('UNAVAILABLE', this.failure, { cause: error });
    }
    this.debt = answer.debt;
    this.lostTo = answer.fault?.isLost === true ? answer.fault.message : undefined;
    if (answer.fault === undefined) return;
    if (answer.fault.isFinal) this.failure = answer.fault.message;
    throw publicErrorOf(answer.fault);
  }

  async #ask(thread: WorkerThread<WriterTask>, task: WriterTask): Promise<WriterAnswer> {
    const { silenceMaxMs } = this.#settings;
    let timer: NodeJS.Timeout | undefined;
    const silence = new Promise<never>((_, reject) => {
      const giveUp = (): void => {
        this.failure =
          `the thread of the store has not answered for ${silenceMaxMs / 1000} s: its disk stands still, or it has died; ` +
          'look at the disk and start the server anew; what was acknowledged is safe';
        reject(new PublicError('UNAVAILABLE', this.failure));
        this.#isSilent = true;
        thread.fail(this.failure);
      };
      // After a pause of the whole process (SIGSTOP), the answer comes a moment later.
      timer = setTimeout(() => (timer = setTimeout(giveUp, answerMomentMs)), silenceMaxMs);
    });
    try {
      return await Promise.race([thread.run<WriterAnswer>(task), silence]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #openWriter(): Promise<Writer> {
    if (this.#users === undefined || this.#rooms === undefined)
      throw new PublicError('UNAVAILABLE', 'the names of the store are not read yet');
    const gate = new ExitGate();
    const thread = new WorkerThread<WriterTask>({
      url: workerUrl('store/writer-thread', import.meta.url),
      tasksAtThread: 1,
      onFailure: () => {
        this.#writer = undefined;
        // One that only says nothing may still be inside.
        if (!this.#isSilent) gate.close();
      },
    });
    const { fault } = await this.#ask(thread, {
      kind: 'open',
      path: this.path,
      instance: this.#instance,
      limits: this.#settings.limits,
      gate: gate.memory,
    });
    if (fault !== undefined) {
      await thread.close(fault.message);
      gate.close();
      throw publicErrorOf(fault);
    }
    this.#writer = {
      thread,
      gate,
      users: new NameGrowth(this.#users.names),
      rooms: new NameGrowth(this.#rooms.names),
    };
    return this.#writer;
  }

  #nameCounts(): Uint32Array<ArrayBuffer> {
    const counts = new Uint32Array(nameCountsLength);
    if (this.#users === undefined || this.#rooms === undefined) return counts;
    for (let lane = 0; lane < partitionCount; lane += 1) counts[lane] = this.#rooms.names.countOf(lane);
    // Nobody has the first number of users, and no name.
    counts[userCountAt] = this.#users.names.countOf(0) - 1;
    return counts;
  }
}

/** @throws PublicError INVALID, DAMAGED: nothing has been written then */
function checkedIdentity(environment: Environment): Identity {
  checkFormat(environment);
  return identityOf(environment);
}

/** Made beside its place and then moved there, so that a store is whole or is not there. */
async function createStore(path: string, random: RandomBytes): Promise<void> {
  const unfinished = unfinishedPath(dirname(path));
  removeUnfinished(dirname(path));
  const environment = new Environment({ path: unfinished, create: true });
  try {
    environment.write(() => newMeta(environment, random));
  } finally {
    await environment.close();
  }
  renameSync(unfinished, path);
  // Its lock file.
  removeUnfinished(dirname(path));
  syncDirectory(dirname(path));
}
