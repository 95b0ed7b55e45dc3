/**
 * A server of somebody else's for the length of a test or a bench: one process at a time, in a folder of its own, and gone
 * with all it wrote when that ends. That is by `stop`, or by a signal to this process, or by an exit that nobody planned;
 * only a SIGKILL of this process leaves it behind. Between `end` and the next `start` the folder stays as the server left it.
 *
 * Invariant: what is signalled is a child that was started here and that nobody has waited for yet, so never a stranger's process.
 * Cost: what the server costs, and a poll of it 50 times a second while it starts.
 */
import { execFile, spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { chownSync, mkdtempSync, openSync, closeSync, readFileSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { promisify } from 'node:util';

/** Who runs the server, when not who runs the bench. */
export interface Owner {
  readonly uid: number;
  readonly gid: number;
}

const startMsMax = 20_000;
const endMsMax = 20_000;
const pollMs = 20;
const signals = ['SIGINT', 'SIGTERM', 'SIGHUP'] as const;

const running = new Set<TemporaryServer>();

export class TemporaryServer {
  readonly folder: string;
  readonly #name: string;
  readonly #owner: Owner | undefined;
  readonly #stopSignal: NodeJS.Signals;
  #child: ChildProcess | undefined;

  /** @param stopSignal what ends the server at once, without saving anything */
  constructor(name: string, stopSignal: NodeJS.Signals, owner?: Owner) {
    this.#name = name;
    this.#stopSignal = stopSignal;
    this.#owner = owner;
    this.folder = mkdtempSync(join(tmpdir(), `mutual-rooms-${name}-`));
    if (owner !== undefined) chownSync(this.folder, owner.uid, owner.gid);
    if (running.size === 0) watchForTheEnd();
    running.add(this);
  }

  /** Of the running process; undefined when there is none. */
  get pid(): number | undefined {
    return this.#child === undefined || hasEnded(this.#child) ? undefined : this.#child.pid;
  }

  /** Runs a command to its end, as the owner. */
  async run(command: string, args: readonly string[]): Promise<void> {
    await promisify(execFile)(command, args, { ...this.#owner, cwd: this.folder });
  }

  /**
   * Starts the server, and tries `attempt` until it succeeds.
   * @throws with the server's last words, when it ends before or takes longer than `msMax`
   */
  async start<Result>(
    command: string,
    args: readonly string[],
    attempt: () => Promise<Result>,
    msMax = startMsMax,
  ): Promise<Result> {
    if (this.pid !== undefined) throw new Error(`${this.#name} runs already`);
    const log = openSync(join(this.folder, 'log'), 'a');
    const child = spawn(command, args, {
      ...this.#owner,
      cwd: this.folder,
      stdio: ['ignore', log, log],
    });
    closeSync(log);
    this.#child = child;
    await once(child, 'spawn');
    const started = performance.now();
    for (;;) {
      try {
        return await attempt();
      } catch (error) {
        if (!hasEnded(child) && performance.now() - started < msMax) await sleep(pollMs);
        else throw new Error(`${this.#name} did not start:\n${this.lastWords()}`, { cause: error });
      }
    }
  }

  /** Ends the process and waits for that; its folder stays, for another `start`. One that will not end is killed. */
  async end(signal: NodeJS.Signals = this.#stopSignal): Promise<void> {
    const child = this.#child;
    if (child === undefined || hasEnded(child)) return;
    const ended = once(child, 'exit');
    child.kill(signal);
    const deadline = setTimeout(() => child.kill('SIGKILL'), endMsMax);
    await ended;
    clearTimeout(deadline);
  }

  async stop(): Promise<void> {
    await this.end();
    this.#forget();
  }

  /** What can be done when there is no time to wait. */
  stopNow(): void {
    if (this.#child?.pid !== undefined && !hasEnded(this.#child)) this.#child.kill(this.#stopSignal);
    this.#forget();
  }

  #forget(): void {
    running.delete(this);
    if (running.size === 0) watchNoMore();
    rmSync(this.folder, { recursive: true, force: true, maxRetries: 10, retryDelay: 50 });
  }

  /** The end of what it wrote to standard output and standard error. */
  lastWords(): string {
    return readFileSync(join(this.folder, 'log'), 'utf8').slice(-2_000);
  }
}

function hasEnded(child: ChildProcess): boolean {
  return child.exitCode !== null || child.signalCode !== null;
}

function watchForTheEnd(): void {
  process.on('exit', stopAllNow);
  for (const signal of signals) process.on(signal, stopAllAndEnd);
}

function watchNoMore(): void {
  process.off('exit', stopAllNow);
  for (const signal of signals) process.off(signal, stopAllAndEnd);
}

function stopAllNow(): void {
  for (const server of running) server.stopNow();
}

/** The signal does to this process what it would have done, once all servers are gone. */
function stopAllAndEnd(signal: NodeJS.Signals): void {
  void Promise.allSettled([...running].map((server) => server.stop())).then(() => {
    watchNoMore();
    process.kill(process.pid, signal);
  });
}
