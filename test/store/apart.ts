/** A program that a test writes, in a process of its own. */
import { fork, type ChildProcess } from 'node:child_process';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { onTestFinished } from 'vitest';

/** Runs these lines in a process of its own; Node 20 runs no TypeScript there, so they import what is built. */
export function runApart(folder: string, lines: string): ChildProcess {
  const program = join(folder, 'program.mjs');
  writeFileSync(program, lines);
  const child = fork(program, { stdio: 'inherit', execArgv: [] });
  onTestFinished(() => void child.kill('SIGKILL'));
  return child;
}

/** What these lines import: a file of the built store. */
export const built = (path: string): string =>
  JSON.stringify(new URL(`../../dist/store/${path}.js`, import.meta.url).href);
