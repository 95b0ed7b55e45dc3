/**
 * What a process needs before any other module is read: that signals end it, and that it may open the files of the modules.
 * Imports nothing but Node's own.
 */
import { readFileSync } from 'node:fs';
import { constants } from 'node:os';

/** Modules are read side by side, and connections come on top; without so many, errors name whatever was being read. */
const openFilesMin = 256;

const stopSignals = ['SIGTERM', 'SIGINT'] as const;

/** @returns why the process cannot start, or undefined */
export function startFault(): string | undefined {
  const files = openFilesMax();
  if (files >= openFilesMin) return undefined;
  return `this process may open ${files} files, and needs ${openFilesMin} at least: raise its limit (ulimit -n) to 1024 or more`;
}

/** The first process of a container has no default for signals: without a handler nothing but SIGKILL would end it. */
export function endAtSignals(): void {
  if (process.pid === 1) for (const signal of stopSignals) process.on(signal, endAtOnce);
}

/** From here on `listener` is told of them instead. */
export function onStopSignals(listener: (signal: string) => void): void {
  for (const signal of stopSignals) {
    process.off(signal, endAtOnce);
    process.on(signal, listener);
  }
}

function endAtOnce(signal: NodeJS.Signals): void {
  process.exit(128 + constants.signals[signal]);
}

/** Node has raised it as far as it may. Where there is no /proc nothing says so. */
function openFilesMax(): number {
  try {
    return Number(/^Max open files +(\d+)/m.exec(readFileSync('/proc/self/limits', 'utf8'))?.[1] ?? Infinity);
  } catch {
    return Infinity;
  }
}
