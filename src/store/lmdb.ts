/**
 * The only import of `lmdb`: an environment with the tables of layout.ts, and how they are read and written.
 *
 * Values are read in place: `get` and `Scan.next` leave them in `bytes` up to `length`, and the next read of any table
 * overwrites them. So a scan makes no object a record (13 million small records a second against 5).
 *
 * Every write is part of a transaction (`write`), which is on the disk when it returns: `overlappingSync` is off.
 * One process may open a file many times, in any thread: LMDB's environment is shared between them. What the package
 * does with what is no LMDB file is a crash, so data-directory.ts looks first.
 */
import { statSync, type BigIntStats } from 'node:fs';
import * as lmdb from 'lmdb';
import { open, type Database, type RootDatabase } from 'lmdb';
import { PublicError, messageOf } from '../base/errors.js';
import { checkAddressSpace } from './address-space.js';
import { programName, type Meta } from './layout.js';

/**
 * So much more of the file is mapped than it may have: what a last commit and a fold take, and for those who only read what is
 * written while they open it. It is address space, not memory. Beyond what is mapped LMDB maps the file anew, and keeps the
 * old map for those who still read.
 */
const mapBytesBeyond = 2 ** 32;
const mapBytesBeyondReading = 2 ** 28;

/** Tables in an environment, and some more for later formats. */
const tablesMax = 16;

/** `SYNCHRONOUS_COMMIT`: the package declares the enum, but does not export it. One that throws is aborted all the same. */
const synchronousCommit = 2 as unknown as Parameters<RootDatabase['transactionSync']>[1];

/** What a scan and several `get`s see together: the state at one commit. Ends with `done`: until then no page is used again. */
export interface Snapshot {
  done(): void;
}

interface ReadTransaction extends Snapshot {
  readonly address?: number;
}

/** What the package is made of, and does not declare. */
const { nativeAddon } = lmdb as unknown as {
  nativeAddon: {
    readonly Env: new () => {
      open(options: object, flags: number, jsFlags: number): void;
      close(): void;
    };
    readonly Txn: new (environment: object, flags: number) => { abort(): void };
  };
};
const readOnlyFlag = 0x20000;
const noSubdirFlag = 0x4000;

/** The native environment writes keys there; nothing is read by key. */
const keyBytes = Buffer.alloc(4096);

/** Takes what is read as it lies in the package's buffer. */
class InPlace {
  bytes: Uint8Array = new Uint8Array(0);

  encode(value: Uint8Array): Uint8Array {
    return value;
  }

  decode(bytes: Uint8Array): true {
    this.bytes = bytes;
    return true;
  }
}

export class Table<Key extends number | Uint8Array> {
  readonly #database: Database<unknown, Key>;
  readonly #inPlace: InPlace;

  constructor(database: Database<unknown, Key>, inPlace: InPlace) {
    this.#database = database;
    this.#inPlace = inPlace;
  }

  /** The value that was read last; it may be longer: only `length` bytes are the value's. */
  get bytes(): Uint8Array {
    return this.#inPlace.bytes;
  }

  get length(): number {
    return this.#inPlace.bytes.length;
  }

  /** Records of the table. */
  get count(): number {
    return (this.#database.getStats() as { entryCount: number }).entryCount;
  }

  /** The highest key, or undefined when there is none. */
  lastKey(snapshot?: Snapshot): Key | undefined {
    const [last] = this.#database.getKeys({ reverse: true, limit: 1, ...optionsOf(snapshot) });
    return last;
  }

  /** Reads the value of a key. @returns whether there is one */
  get(key: Key, snapshot?: Snapshot): boolean {
    return this.#database.get(key, optionsOf(snapshot)) !== undefined;
  }

  /** Only inside `Environment.write`. The value is copied. */
  put(key: Key, value: Uint8Array): void {
    void this.#database.put(key, value);
  }

  /** Only inside `Environment.write`. */
  remove(key: Key): void {
    void this.#database.remove(key);
  }

  /** Goes over the records from `start` on (included) to `end` (not included), by ascending key. */
  scan(range: { start?: Key; end?: Key }, snapshot?: Snapshot): Scan<Key> {
    return new Scan(this.#database, this.#inPlace, range, snapshot);
  }
}

/** A table gone over record by record; the value of the last one is in `bytes`. */
export class Scan<Key> {
  readonly #iterator: Iterator<{ key: Key }>;
  readonly #inPlace: InPlace;

  constructor(
    database: Database<unknown, Key & (number | Uint8Array)>,
    inPlace: InPlace,
    range: { start?: Key; end?: Key },
    snapshot: Snapshot | undefined,
  ) {
    this.#inPlace = inPlace;
    const options = { ...range, ...optionsOf(snapshot) } as object;
    this.#iterator = database.getRange(options)[Symbol.iterator]() as Iterator<{ key: Key }>;
  }

  get bytes(): Uint8Array {
    return this.#inPlace.bytes;
  }

  get length(): number {
    return this.#inPlace.bytes.length;
  }

  /** @returns the next key, or undefined after the last one */
  next(): Key | undefined {
    const result = this.#iterator.next();
    return result.done === true ? undefined : result.value.key;
  }

  /** Ends a scan that was not gone to its end. */
  close(): void {
    this.#iterator.return?.();
  }
}

export interface EnvironmentOptions {
  /** The file. */
  readonly path: string;
  /** Writes nothing, takes no lock; a file that is not there is an error. */
  readonly readOnly?: boolean;
  /** Makes the tables. Else, one that is missing is an error. */
  readonly create?: boolean;
  /** What the file may come to; by default it is what it is. */
  readonly bytesMax?: number;
}

export class Environment {
  readonly path: string;
  readonly #root: RootDatabase<unknown, string>;
  readonly #meta: Database<unknown, string>;
  readonly #create: boolean;
  readonly #file: BigIntStats;
  /** User names, by block. */
  readonly userNames: Table<number>;
  /** Room names, by partition and block. */
  readonly roomNames: Table<number>;
  /** Room sets, by user. */
  readonly users: Table<number>;
  /** Room sets of users in very many rooms, by partition and user. */
  readonly parts: Table<Uint8Array>;
  /** Changes that are not folded into the room sets yet, by the number of their commit. */
  readonly recent: Table<number>;

  /** @throws PublicError UNAVAILABLE when it cannot be read from here, INVALID, DAMAGED; what the disk answers */
  constructor({ path, readOnly = false, create = false, bytesMax = 0 }: EnvironmentOptions) {
    this.path = path;
    this.#create = create;
    const file = statSync(path, { bigint: true, throwIfNoEntry: false });
    // LMDB would make it.
    if (file === undefined && !create) throw new PublicError('UNAVAILABLE', `there is no ${path}`);
    const bytes = Number(file?.size ?? 0);
    const options = {
      path,
      readOnly,
      noSubdir: true,
      overlappingSync: false,
      maxDbs: tablesMax,
      mapSize: Math.max(bytes, bytesMax) + (readOnly ? mapBytesBeyondReading : mapBytesBeyond),
      // Names are personal data: only who runs the server reads them.
      permissionsMode: 0o600,
    };
    checkAddressSpace(path, options.mapSize, bytesMax > bytes && !create);
    const reader = openReader(options);
    try {
      this.#root = open<unknown, string>(options as Parameters<typeof open<unknown, string>>[0]);
    } finally {
      // The package shares what was opened.
      reader.close();
    }
    // From before it was opened: whatever was in its place a moment later is another one.
    this.#file = file ?? statSync(path, { bigint: true });
    try {
      // All at once: opening one ends the snapshots that there are, and cannot be done in a transaction.
      this.#meta = this.#open('meta', { encoding: 'msgpack' });
      this.userNames = this.#table('user_names', { keyEncoding: 'uint32' });
      this.roomNames = this.#table('room_names', { keyEncoding: 'uint32' });
      this.users = this.#table('users', { keyEncoding: 'uint32' });
      this.parts = this.#table('parts', { keyEncoding: 'binary' });
      this.recent = this.#table('recent', {});
    } catch (error) {
      void this.#root.close();
      throw error;
    }
  }

  getMeta<Name extends keyof Meta>(name: Name, snapshot?: Snapshot): Meta[Name] | undefined {
    return this.#meta.get(name, optionsOf(snapshot)) as Meta[Name] | undefined;
  }

  /** Only inside `write`. */
  putMeta<Name extends keyof Meta>(name: Name, value: Meta[Name]): void {
    void this.#meta.put(name, value);
  }

  /** Only inside `write`. */
  removeMeta(name: keyof Meta): void {
    void this.#meta.remove(name);
  }

  /** Cursors and whatever else is kept as bytes under a name. */
  getBytes(name: string, snapshot?: Snapshot): Uint8Array | undefined {
    return this.#meta.get(name, optionsOf(snapshot)) as Uint8Array | undefined;
  }

  /** Only inside `write`. */
  putBytes(name: string, value: Uint8Array): void {
    void this.#meta.put(name, value);
  }

  /** The names under which `putBytes` and `putMeta` kept something. */
  metaNames(snapshot?: Snapshot): string[] {
    return [...this.#meta.getKeys(optionsOf(snapshot) ?? {})];
  }

  /**
   * One transaction: all of what `change` puts and removes is on the disk when this returns, or none of it.
   * @returns what `change` returns
   * @throws what `change` throws, and what the disk answers; nothing is written then
   */
  write<Result>(change: () => Result): Result {
    return this.#root.transactionSync(change, synchronousCommit);
  }

  /** The state as of now, for reads that belong together. */
  snapshot(): Snapshot {
    return this.#root.useReadTransaction();
  }

  /** Whether the file is still the one at its path: not removed, moved, hidden by a mount, or replaced. */
  isInPlace(): boolean {
    const found = statSync(this.path, { bigint: true, throwIfNoEntry: false });
    return found?.ino === this.#file.ino && found.dev === this.#file.dev;
  }

  /** Lets go of what processes that have ended without a word were still reading: else no page that they saw is used again. */
  removeDeadReaders(): void {
    (this.#root as unknown as { readerCheck(): number }).readerCheck();
  }

  /** Reads from now on see what other threads have committed: else they may see the state at the last turn of the event loop. */
  renew(): void {
    this.#root.resetReadTxn();
  }

  /** Bytes of the file that are in use, or were once. */
  get bytes(): number {
    const { lastPageNumber, pageSize } = this.#root.getStats() as Record<string, number>;
    return (lastPageNumber + 1) * pageSize;
  }

  /** Copies the state as of now to another file, without the pages that are free. */
  async copyTo(path: string): Promise<void> {
    await this.#root.backup(path, true);
  }

  async close(): Promise<void> {
    await this.#root.close();
  }

  #table<Key extends number | Uint8Array>(name: string, options: object): Table<Key> {
    const inPlace = new InPlace();
    return new Table<Key>(this.#open(name, { ...options, encoder: inPlace }), inPlace);
  }

  #missing(table: string): PublicError {
    // `meta` is the first one that is opened.
    if (table === 'meta' || this.getMeta('format')?.program !== programName)
      return otherProgramsFile(this.path);
    return new PublicError(
      'DAMAGED',
      `${this.path} is damaged: there is no table ${table}; put a backup in its place`,
    );
  }

  #open<Key extends number | string | Uint8Array>(name: string, options: object): Database<unknown, Key> {
    const database = this.#root.openDB<unknown, Key>(name, { ...options, create: this.#create } as object) as
      Database<unknown, Key> | undefined;
    if (database === undefined) throw this.#missing(name);
    return database;
  }
}

/**
 * Opens a file and reads in it once. LMDB knows readers by the numbers of their processes, which two containers may both use.
 * Of the second one the package would say nothing for ten seconds, and then fail where nobody can catch it.
 * @throws PublicError UNAVAILABLE; what the disk answers
 */
function openReader(options: { readonly path: string; readonly readOnly: boolean }): { close(): void } {
  const native = new nativeAddon.Env();
  native.open({ ...options, keyBytes }, noSubdirFlag | (options.readOnly ? readOnlyFlag : 0), 0);
  try {
    new nativeAddon.Txn(native, readOnlyFlag).abort();
    return native;
  } catch (error) {
    native.close();
    // EAGAIN, of the lock of that number.
    if (messageOf(error).includes('temporarily unavailable')) throw new ProcessNumberTaken(options.path);
    throw error;
  }
}

/** A process of the same number has the store open, in another container. */
export class ProcessNumberTaken extends PublicError {
  constructor(path: string) {
    super(
      'UNAVAILABLE',
      `${path} is open in another container, by a process with the number that this one has here (${process.pid}), and LMDB ` +
        'cannot tell them apart: run commands in the container of the server ("docker exec"), or wait until that process has ended',
    );
  }
}

export function otherProgramsFile(path: string): PublicError {
  return new PublicError(
    'INVALID',
    `${path} is the LMDB file of another program: give data_dir a folder of its own`,
  );
}

function optionsOf(snapshot: Snapshot | undefined): { transaction: never } | undefined {
  return snapshot === undefined ? undefined : { transaction: snapshot as ReadTransaction as never };
}
