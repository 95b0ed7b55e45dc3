/**
 * Repeats a job on a connection of its own: at an interval, and sooner when it is asked for. The first run is right away, since
 * nobody knows what happened before the start. A run that fails is repeated a little later.
 */
import type { Clock } from '../../../base/clock.js';
import { choreLookEveryMs, choreRetryMs, doubtMsMax } from '../bounds.js';
import type { Connection } from '../database/connection.js';
import { Pause } from '../follow/pause.js';

export interface Job {
  /** Once on each connection, first of all. */
  prepare(connection: Connection): Promise<void>;
  /** Asked every second: whether it is due now, whatever the interval says. */
  isWanted(): Promise<boolean>;
  run(connection: Connection): Promise<void>;
  /** The shortest pause after a run of some length, in milliseconds, when somebody asks for the next one. */
  restMs(lengthMs: number): number;
}

export interface ChoreDeps {
  readonly intervalMs: number;
  readonly clock: Clock;
  readonly signal: AbortSignal;
  readonly open: () => Promise<Connection>;
  readonly failed: (error: unknown) => void;
  readonly succeeded: () => void;
}

export class Chore {
  readonly #job: Job;
  readonly #deps: ChoreDeps;
  readonly #pause: Pause;
  #connection: Connection | undefined;
  #dueAtMs = 0;
  /** Until this time, nobody can ask for a sooner run. */
  #restsUntilMs = 0;

  constructor(job: Job, deps: ChoreDeps) {
    this.#job = job;
    this.#deps = deps;
    this.#pause = new Pause(deps.signal);
  }

  /** The server may be gone. */
  doubt(): void {
    this.#connection?.doubt(doubtMsMax);
  }

  soon(): void {
    this.#dueAtMs = Math.min(this.#dueAtMs, this.#restsUntilMs);
    this.#pause.end();
  }

  /** Until the signal. */
  async run(): Promise<void> {
    while (!this.#isOver()) {
      let connection: Connection | undefined;
      try {
        connection = this.#connection = await this.#deps.open();
        await this.#job.prepare(connection);
        while (!this.#isOver()) await this.#look(connection);
      } catch (error) {
        if (this.#isOver()) break;
        this.#deps.failed(error);
        await this.#pause.atLeast(choreRetryMs);
      } finally {
        connection?.close();
        this.#connection = undefined;
      }
    }
  }

  async #look(connection: Connection): Promise<void> {
    const { clock, intervalMs } = this.#deps;
    if (await this.#job.isWanted()) this.soon();
    const beganMs = clock.monotonicMs();
    if (beganMs >= this.#dueAtMs) {
      // What is asked for meanwhile is asked for after this.
      this.#dueAtMs = beganMs + intervalMs;
      try {
        await this.#job.run(connection);
      } catch (error) {
        this.#dueAtMs = 0;
        throw error;
      }
      this.#deps.succeeded();
      const endedMs = clock.monotonicMs();
      this.#restsUntilMs = endedMs + Math.min(intervalMs, this.#job.restMs(endedMs - beganMs));
      // A wish that came meanwhile would have it begin again at once.
      this.#dueAtMs = Math.max(this.#dueAtMs, this.#restsUntilMs);
    }
    await this.#pause.between(0, Math.min(choreLookEveryMs, intervalMs));
  }

  #isOver(): boolean {
    return this.#deps.signal.aborted;
  }
}
