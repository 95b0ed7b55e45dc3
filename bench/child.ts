/**
 * Runs a part of a bench in a process of its own, so that its memory is its own and nothing else warms or burdens it.
 * The child's file calls `answerOrder` once: it gets one order and gives one answer, both plain data.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';

/** @throws when the child ends without an answer */
export async function runChild<Answer>(
  file: URL,
  order: unknown,
  nodeOptions: readonly string[] = [],
): Promise<Answer> {
  const child = fork(file, [JSON.stringify(order)], {
    execArgv: [...process.execArgv, '--expose-gc', ...nodeOptions],
  });
  const ended = once(child, 'exit').then(([code, signal]) => {
    throw new Error(`${file.pathname} ended with ${String(code ?? signal)} and no answer`);
  });
  const [answer] = (await Promise.race([once(child, 'message'), ended])) as [Answer];
  ended.catch(() => {});
  return answer;
}

/** @param work takes what its parent orders */
export async function answerOrder(work: (order: never) => unknown): Promise<void> {
  if (process.send === undefined) return;
  const answer = await work(JSON.parse(process.argv[2]) as never);
  process.send(answer, () => process.exit());
}

/** Resident bytes after everything that can be collected has been. */
export function residentBytes(): number {
  for (let round = 0; round < 4; round += 1) globalThis.gc?.();
  return process.memoryUsage.rss();
}
