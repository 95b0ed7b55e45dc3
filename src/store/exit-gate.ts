/**
 * Lets a process end between two transactions of the store's thread, never inside one.
 *
 * `process.exit` stops every thread wherever it is, and waits until it has ended. The addon of lmdb, stopped between the begin
 * and the end of a transaction, waits for a lock that it holds itself, and the process for ever with it. So the thread passes the
 * gate for each transaction, and a process that ends shuts it first. What never comes out of it is a thread that has died inside,
 * or a disk that stands still: then the process kills itself, as the same SIGKILL from outside would; the store bears that.
 *
 * Only threads need it: the main one cannot exit in the midst of a transaction of its own.
 * Cost: three atomic operations a transaction.
 */
import { writeSync } from 'node:fs';
import { exitWaitMs } from './bounds.js';

const free = 0;
const inside = 1;
const shut = 2;

/** What the thread holds of it. */
export class GatedThread {
  readonly #state: Int32Array;

  constructor(memory: SharedArrayBuffer) {
    this.#state = new Int32Array(memory);
  }

  /** Runs a transaction. Once the gate is shut it never returns: the process ends. */
  pass<Result>(transaction: () => Result): Result {
    if (Atomics.compareExchange(this.#state, 0, free, inside) === shut) Atomics.wait(this.#state, 0, shut);
    try {
      return transaction();
    } finally {
      Atomics.compareExchange(this.#state, 0, inside, free);
      Atomics.notify(this.#state, 0);
    }
  }
}

/** The gate of one thread, from outside. */
export class ExitGate {
  static readonly #all = new Set<ExitGate>();
  readonly memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  readonly #state = new Int32Array(this.memory);

  constructor() {
    if (ExitGate.#all.size === 0) process.on('exit', ExitGate.#onExit);
    ExitGate.#all.add(this);
  }

  /** The thread has ended, and not inside. */
  close(): void {
    ExitGate.#all.delete(this);
    if (ExitGate.#all.size === 0) process.off('exit', ExitGate.#onExit);
  }

  static readonly #onExit = (): void => {
    for (const gate of ExitGate.#all) if (!gate.#shut()) killThisProcess();
  };

  /** @returns whether the thread is outside, for good */
  #shut(): boolean {
    if (Atomics.compareExchange(this.#state, 0, free, shut) === free) return true;
    Atomics.wait(this.#state, 0, inside, exitWaitMs);
    return Atomics.compareExchange(this.#state, 0, free, shut) !== inside;
  }
}

function killThisProcess(): void {
  try {
    writeSync(
      2,
      `the thread of the store did not end its transaction within ${exitWaitMs / 1000} s: this process kills itself; ` +
        'what was acknowledged is safe\n',
    );
  } catch {
    // Nobody reads it, or the pipe is full.
  }
  process.kill(process.pid, 'SIGKILL');
}
