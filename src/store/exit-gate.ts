/**
 * Lets a process end between two transactions of the store's thread, never inside one.
 *
 * `process.exit` stops every thread wherever it is, and waits until it has ended. When lmdb's addon is stopped inside a transaction,
 * it waits for a lock that it holds itself, and the process waits for it for ever. So the thread passes this gate for each
 * transaction, and a process that ends shuts the gate first. A thread that died inside, or whose disk stands still, never comes out:
 * then the process ends itself by SIGKILL, which the store survives as it survives one from outside.
 *
 * Only the store's thread needs it: the main thread cannot exit inside a transaction of its own.
 * Cost: three atomic operations a transaction.
 */
import { writeSync } from 'node:fs';
import { exitWaitMs } from './bounds.js';

const free = 0;
const inside = 1;
const shut = 2;

/** The gate as the thread sees it. */
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

/** The gate of one thread, as the main thread sees it. */
export class ExitGate {
  static readonly #all = new Set<ExitGate>();
  readonly memory = new SharedArrayBuffer(Int32Array.BYTES_PER_ELEMENT);
  readonly #state = new Int32Array(this.memory);

  constructor() {
    if (ExitGate.#all.size === 0) process.on('exit', ExitGate.#onExit);
    ExitGate.#all.add(this);
  }

  /** Call it when the thread has ended outside a transaction. */
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
