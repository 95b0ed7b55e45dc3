/**
 * What a command needs of the process: its streams, environment, clock. Tests own all of it.
 */
import type { Readable, Writable } from 'node:stream';
import { setTimeout as sleep } from 'node:timers/promises';
import { type Clock, systemClock } from '../base/clock.js';
import type { Env } from '../config/environment.js';
import { onStopSignals } from './process-start.js';

export interface Terminal {
  readonly env: Env;
  readonly stdin: Readable;
  /** For results that are a stream; `out` is for the rest. */
  readonly stdout: Writable;
  /** Whether a person watches stderr: then progress is drawn there, and the log is text. */
  readonly watched: boolean;
  /** Whether that person wants colors. */
  readonly colored: boolean;
  readonly clock: Clock;
  /** For results. */
  out(text: string): void;
  /** For errors and remarks. */
  err(text: string): void;
  sleepMs(durationMs: number): Promise<void>;
  /** Ends the process at once: for when nothing that is under way is worth waiting for. */
  exit(code: number): void;
  /** Ends the process with exit code 1 where it has not ended by itself by then. @param before what is said first */
  exitAfter(durationMs: number, before: () => void): void;
  /** Calls `tell` with an exception that nobody catches, then ends the process with exit code 1. */
  onUncaught(tell: (error: unknown) => void): void;
  /** Resolves at the first SIGTERM or SIGINT; a second one ends the process at once. */
  stopSignal(): Promise<string>;
}

export const processTerminal: Terminal = {
  env: process.env,
  stdin: process.stdin,
  stdout: process.stdout,
  watched: process.stderr.isTTY,
  colored: process.stderr.isTTY && process.stderr.hasColors(),
  clock: systemClock,
  out: (text) => void process.stdout.write(text),
  err: (text) => void process.stderr.write(text),
  sleepMs: async (durationMs) => {
    await sleep(durationMs);
  },
  exit: (code) => process.exit(code),
  exitAfter: (durationMs, before) => {
    const timer = setTimeout(() => {
      before();
      process.exit(1);
    }, durationMs);
    // Else it would be what keeps it alive.
    timer.unref();
  },
  onUncaught: (tell) => {
    // Before whatever else listens: the process ends here.
    process.prependListener('uncaughtException', (error) => {
      tell(error);
      process.exit(1);
    });
  },
  stopSignal: () =>
    new Promise((resolve) => {
      let signalled = false;
      const onSignal = (signal: string): void => {
        // Whoever asks twice does not want to wait for what is in flight.
        if (signalled) process.exit(1);
        signalled = true;
        resolve(signal);
      };
      onStopSignals(onSignal);
    }),
};
