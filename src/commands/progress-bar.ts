/**
 * How far a command is: a bar on stderr where a person watches, else a line there every few seconds.
 *
 * The time that is left is reckoned from the share that is done since the first report, so work that is read ahead, like the
 * first buffer of a file, does not count as speed.
 */
import { Presets, SingleBar } from 'cli-progress';
import type { Terminal } from './terminal.js';

const steps = 1000;

const saidEveryMs = 5000;

/** Before so much time has passed nothing is known about speed. */
const estimatedAfterMs = 2000;

export class Progress {
  readonly #terminal: Terminal;
  readonly #what: string;
  readonly #bar: SingleBar | undefined;
  #first: { readonly share: number; readonly atMs: number } | undefined;
  #saidAtMs: number;

  /** @param what is under way, as the start of a sentence: "the import" */
  constructor(terminal: Terminal, what: string) {
    this.#terminal = terminal;
    this.#what = what;
    this.#saidAtMs = terminal.clock.monotonicMs();
    if (!terminal.watched) return;
    const options = { format: '{bar} {percentage} %{left}', stream: process.stderr, hideCursor: true };
    this.#bar = new SingleBar(options, Presets.shades_classic);
  }

  /** @param share of the work that is done, 0 to 1 */
  say(share: number): void {
    const nowMs = this.#terminal.clock.monotonicMs();
    if (this.#bar !== undefined) {
      if (this.#first === undefined) this.#bar.start(steps, 0, { left: '' });
      this.#first ??= { share, atMs: nowMs };
      this.#bar.update(Math.floor(share * steps), { left: this.#left(share, nowMs) });
      return;
    }
    this.#first ??= { share, atMs: nowMs };
    if (nowMs - this.#saidAtMs < saidEveryMs) return;
    this.#saidAtMs = nowMs;
    this.#terminal.err(`${this.#what}: ${Math.floor(share * 100)} %${this.#left(share, nowMs)}\n`);
  }

  /** Writes a line of text above the bar, which is drawn anew at the next report. */
  above(text: string): void {
    if (this.#bar?.isActive === true) this.#terminal.err('\r\u001b[K');
    this.#terminal.err(text);
  }

  /** Gives the line back. */
  end(): void {
    if (this.#first !== undefined) this.#bar?.stop();
  }

  #left(share: number, nowMs: number): string {
    const { share: firstShare, atMs } = this.#first ?? { share, atMs: nowMs };
    const elapsedMs = nowMs - atMs;
    const done = share - firstShare;
    if (elapsedMs < estimatedAfterMs || done <= 0) return '';
    const seconds = Math.ceil((elapsedMs * (1 - share)) / done / 1000);
    return seconds < 60 ? `, ${seconds} s left` : `, ${Math.ceil(seconds / 60)} min left`;
  }
}

/** For work of which nobody but a person who watches wants to hear: undefined where nobody does. */
export function watchedBar(terminal: Terminal): Progress | undefined {
  return terminal.watched ? new Progress(terminal, '') : undefined;
}
