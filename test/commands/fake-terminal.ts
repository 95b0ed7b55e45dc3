/** A terminal that remembers what was written, waits without waiting, and stops when told to. */
import { Readable, Writable } from 'node:stream';
import { systemClock } from '../../src/base/clock.js';
import type { Terminal } from '../../src/commands/terminal.js';

export interface FakeTerminal extends Terminal {
  readonly written: { out: string; err: string };
  readonly waitsMs: number[];
  stop(): void;
}

const sum = (numbers: readonly number[]): number => numbers.reduce((total, each) => total + each, 0);

export function fakeTerminal(
  env: Record<string, string> = {},
  stdin: Iterable<Uint8Array> = [],
  onOut: (text: string) => void = () => {},
): FakeTerminal {
  const written = { out: '', err: '' };
  const waitsMs: number[] = [];
  let stop = (): void => {};
  const stopped = new Promise<string>((resolve) => {
    stop = () => resolve('SIGTERM');
  });
  return {
    env,
    stdin: Readable.from(stdin),
    stdout: new Writable({
      write: (chunk: Buffer, _encoding, done) => {
        written.out += chunk.toString();
        done();
      },
    }),
    watched: false,
    colored: false,
    clock: { ...systemClock, monotonicMs: () => systemClock.monotonicMs() + sum(waitsMs) },
    written,
    waitsMs,
    out: (text) => {
      written.out += text;
      onOut(text);
    },
    err: (text) => {
      written.err += text;
    },
    sleepMs: async (durationMs) => {
      waitsMs.push(durationMs);
    },
    exit: (code) => {
      throw new Error(`exit(${code})`);
    },
    // It lives on with the other tests.
    exitAfter: () => undefined,
    // The test's own process has one already.
    onUncaught: () => undefined,
    stopSignal: () => stopped,
    stop: () => stop(),
  };
}
