/**
 * One worker thread, and tasks for it in the order in which they are given: the only import of piscina, a pool of one
 * thread. When the thread dies what it held is gone, so it fails for good, once, and says why; whoever needs it opens
 * another.
 */
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { messageOf } from './errors.js';

/** Of a worker's heap, in MiB. What is large lies outside it, and what a task leaves behind is small. */
const youngGenerationMib = 4;

export interface WorkerThreadOptions {
  /** The module whose default export runs the tasks. */
  readonly url: URL;
  /** Tasks that lie at the thread before it asks for more: with two, one is at work while the next one travels. */
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
    // A thread that dies while idle is told here and nowhere else. One that was busy has its task say more, and first.
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

  /** From now on no task is expected to work. @returns the first reason that was found */
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
   * Once only: a second `destroy` makes the pool start a thread anew when the first one's thread ends. It does so by itself
   * when a thread that failed ends after the pool was destroyed; that one ends when it is ready.
   */
  #endThread(): Promise<void> {
    if (this.#end === undefined) {
      this.#end = this.#pool.destroy();
      this.#pool.on('workerCreate', () => void this.#pool.destroy());
    }
    return this.#end;
  }
}
