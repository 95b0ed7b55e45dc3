/** Reaches the worker threads that a call starts, as Node tells of them: so that a test can really kill one. */
import type { Worker } from 'node:worker_threads';
import { expect, onTestFinished, vi } from 'vitest';

export interface Started<T> {
  readonly result: T;
  /** Every thread since: also one that is started in place of a dead one. */
  readonly workers: Worker[];
}

export async function startedBy<T>(start: () => Promise<T>): Promise<Started<T>> {
  const workers: Worker[] = [];
  const add = (worker: Worker): void => void workers.push(worker);
  process.on('worker', add);
  onTestFinished(() => void process.off('worker', add));
  return { result: await start(), workers };
}

/** No thread is left running, nor one that took the place of another. */
export async function expectAllEnded(workers: readonly Worker[]): Promise<void> {
  await vi.waitFor(
    () => {
      for (const worker of workers) expect(worker.threadId).toBe(-1);
    },
    { timeout: 20_000 },
  );
}
