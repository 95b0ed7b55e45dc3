/**
 * One worker thread that runs tasks in the order in which they are given: a piscina pool of one thread, and the only import
 * of piscina. When the thread dies, what it held is gone. So it fails for good, once, and says why; its owner may open
 * another one.
 */
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { messageOf } from './errors.js';

/** Of a worker's heap, in MiB. What is large lies outside it, and what a task leaves behind is small. */
const youngGenerationMib = 4;

export interface WorkerThreadOptions {
  /** The module whose default export runs the tasks. */
  readonly url: URL;
  /** Most tasks that the thread has at a time. With two, one runs while the next one travels. */
  readonly tasksAtThread: number;
  /** Called once, when the thread has died. Not when it was closed. */
  readonly onFailure: (reason: string) => void;
}

/**
 * Where a worker's module is. Node 20 runs no TypeScript in a thread: from a source tree (tests), the built one is taken.
 * @param path of the module below src, without its extension
 * @param importer `import.meta.url` of a file one folder below src
 */
export function workerUrl(path: string, importer: string): URL {
  return new URL(importer.endsWith('.ts') ? `../../dist/${path}.js` : `../${path}.js`, importer);
}

export class WorkerThread<Task> {
  /** Why no task is taken any more, or undefined. */
  failure: string | undefined;
  readonly #pool: Piscina<Task, unknown>;
  readonly #onFailure: (reason: string) => void;
  #end: Promise<void> | undefined;

  constructor({ url, tasksAtThread, onFailure }: WorkerThreadOptions) {
    this.#onFailure = onFailure;
    this.#pool = new Piscina<Task, unknown>({
      filename: url.href,
      minThreads: 1,
      maxThreads: 1,
      concurrentTasksPerWorker: tasksAtThread,
      // Without it a task that finds the worker full goes to the end of the queue, behind younger ones.
      stricterFIFO: true,
      recordTiming: false,
      resourceLimits: { maxYoungGenerationSizeMb: youngGenerationMib },
    });
    // Only this event tells of a thread that dies while idle. Where one dies at work, its task fails first and says more.
    this.#pool.on('error', (error: unknown) => this.fail(`its worker thread died: ${messageOf(error)}`));
    this.#pool.on('workerDestroy', () => setImmediate(() => void this.fail('its worker thread ended')));
  }

  /**
   * @param ports in the task, which are the thread's from then on
   * @throws what the task throws, and that the thread has died
   */
  async run<Result>(task: Task, ports: readonly MessagePort[] = []): Promise<Result> {
    return (await this.#pool.run(task, { transferList: [...ports] })) as Result;
  }

  /** Ends the thread: no task will work any more. @returns the reason of the first failure */
  fail(reason: string): string {
    if (this.failure !== undefined) return this.failure;
    this.failure = reason;
    this.#onFailure(reason);
    void this.#endThread();
    return reason;
  }

  /** Ends the thread; tasks under way are refused. @param reason what `failure` says from now on */
  async close(reason: string): Promise<void> {
    this.failure ??= reason;
    await this.#endThread();
  }

  /**
   * Destroys the pool once: a second `destroy` would make it start another thread. The pool also starts one by itself, when a
   * thread that failed ends after `destroy`. That thread is ended as soon as it is there.
   */
  #endThread(): Promise<void> {
    if (this.#end === undefined) {
      this.#end = this.#pool.destroy();
      this.#pool.on('workerCreate', () => void this.#pool.destroy());
    }
    return this.#end;
  }
}
