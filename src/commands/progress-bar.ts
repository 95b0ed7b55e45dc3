/** The bar that commands draw on stderr, where a person watches: how far it is, and how long it will take. */
import { Presets, SingleBar } from 'cli-progress';
import type { Terminal } from './terminal.js';

const steps = 1000;

export class ProgressBar {
  readonly #bar = new SingleBar(
    { format: '{bar} {percentage} % | {eta_formatted} left', stream: process.stderr, hideCursor: true },
    Presets.shades_classic,
  );
  #isStarted = false;

  /** @param share of the work that is done, 0 to 1 */
  say(share: number): void {
    if (!this.#isStarted) this.#bar.start(steps, 0);
    this.#isStarted = true;
    this.#bar.update(Math.floor(share * steps));
  }

  /** Gives the line back. */
  end(): void {
    if (this.#isStarted) this.#bar.stop();
  }
}

/** Undefined where nobody watches. */
export function watchedBar({ watched }: Terminal): ProgressBar | undefined {
  return watched ? new ProgressBar() : undefined;
}
