/**
 * The store on disk: an LMDB environment in a data directory. Opens and checks it, and hands commits to its thread
 * (writer-thread.ts). Who else reads the file (shards that load, a backup) opens it by `path`.
 */
import { renameSync } from 'node:fs';
import { dirname } from 'node:path';
import type { MessagePort } from 'node:worker_threads';
import { assert } from '../base/assert.js';
import { systemRandom, type RandomBytes } from '../base/clock.js';
import { PublicError, messageOf } from '../base/errors.js';
import { changesPerFoldMax, changesPerFoldMin, storeSilenceMaxMs } from './bounds.js';
import { WorkerThread, workerUrl } from '../base/worker-thread.js';
import type { Directory } from '../directory/directory.js';
import type { Draft } from '../log/commit.js';
import { prepareDirectory, removeUnfinished, syncDirectory, unfinishedPath } from './data-directory.js';
import { diskFaultOf, isReadOnlyDisk, publicErrorOf } from './disk-fault.js';
import { ExitGate } from './exit-gate.js';
import { checkFormat, identityOf, newMeta } from './identity.js';
import { cursorKey, storeFormat } from './layout.js';
import { Environment } from './lmdb.js';
import type { StoredState } from './load.js';
import { forgetOwner, openOwned, removeOwner } from './owner.js';
import { lastCommit } from './read-recent.js';
import { restoreNames } from './restore-names.js';
import type { Identity, Progress, Store } from './store.js';
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
}

export class LmdbStore implements Store {
  readonly identity: Identity;
  readonly path: string;
  failure: string | undefined;
  lostTo: string | undefined;
  /** The format that it had until this opening carried it over. */
  carriedFrom: number | undefined;
  debt = 0;
  last = 0;
  readonly #environment: Environment;
  readonly #instance: string;
  readonly #settings: Settings;
  #directory: Directory | undefined;
  #writer: Writer | undefined;
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
      try {
        const store = new LmdbStore(environment, checkedIdentity(environment), '', settings);
        store.failure = `${message}; then start the server anew`;
        return store;
      } catch (unreadable) {
        await environment.close();
        throw unreadable;
      }
    }
  }

  static async #open(path: string, instance: string, settings: Settings): Promise<LmdbStore> {
    let identity: Identity | undefined;
    let format: number | undefined;
    const check = (opened: Environment): void => {
      identity = checkedIdentity(opened);
      format = opened.getMeta('format')?.format;
    };
    const environment = await openOwned(path, instance, check, { bytesMax: settings.limits.bytesMax });
    assert(identity !== undefined, 'what is owned was looked at');
    const store = new LmdbStore(environment, identity, instance, settings);
    if (format !== storeFormat) store.carriedFrom = format;
    return store;
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

  async restoreNames(directory: Directory, onProgress: Progress = () => undefined): Promise<void> {
    this.#directory = directory;
    await restoreNames(this.#environment, directory.users, directory.rooms, onProgress);
    this.last = lastCommit(this.#environment);
    // Now, so that the first commit does not wait for a thread to start.
    if (this.failure === undefined) await this.#openWriter();
  }

  async commit(draft: Draft): Promise<number> {
    return (await this.#run({ kind: 'commit', draft })).last;
  }

  async settle(): Promise<void> {
    const changesMax = Math.min(changesPerFoldMax, Math.max(changesPerFoldMin, this.debt));
    await this.#run({ kind: 'fold', changesMax });
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

  async #run(task: WriterTask): Promise<WriterAnswer> {
    if (this.failure !== undefined) throw new PublicError('UNAVAILABLE', this.failure);
    let answer: WriterAnswer;
    try {
      // Another one, when the last one died with nothing to do.
      const writer = this.#writer ?? (await this.#openWriter());
      answer = await this.#ask(writer.thread, task);
    } catch (error) {
      if (error instanceof PublicError) throw error;
      // It may have died in a transaction: then LMDB lets nobody in this process begin another one, and waits for ever.
      this.failure =
        `the thread of the store died while it wrote (${messageOf(error)}): start the server anew; ` +
        'what was acknowledged is safe';
      throw new PublicError('UNAVAILABLE', this.failure, { cause: error });
    }
    this.debt = answer.debt;
    this.last = answer.last;
    this.lostTo = answer.fault?.isLost === true ? answer.fault.message : undefined;
    if (answer.fault === undefined) return answer;
    if (answer.fault.isFinal) this.failure = answer.fault.message;
    throw publicErrorOf(answer.fault);
  }

  async #ask(
    thread: WorkerThread<WriterTask>,
    task: WriterTask,
    ports: readonly MessagePort[] = [],
  ): Promise<WriterAnswer> {
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
      return await Promise.race([thread.run<WriterAnswer>(task, ports), silence]);
    } finally {
      clearTimeout(timer);
    }
  }

  async #openWriter(): Promise<Writer> {
    if (this.#directory === undefined)
      throw new PublicError('UNAVAILABLE', 'the names of the store are not read yet');
    const users = this.#directory.users.names.subscribe();
    const rooms = this.#directory.rooms.names.subscribe();
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
    const { fault } = await this.#ask(
      thread,
      {
        kind: 'open',
        path: this.path,
        instance: this.#instance,
        limits: this.#settings.limits,
        gate: gate.memory,
        users,
        rooms,
      },
      [users.growth.port, rooms.growth.port],
    );
    if (fault !== undefined) {
      await thread.close(fault.message);
      gate.close();
      throw publicErrorOf(fault);
    }
    this.#writer = { thread, gate };
    return this.#writer;
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
