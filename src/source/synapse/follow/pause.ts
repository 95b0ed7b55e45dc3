/** A pause that others may end early. One at a time. */
export class Pause {
  readonly #signal: AbortSignal;
  #isEnded = false;
  /** Of the pause that is under way. */
  #resolve: (() => void) | undefined;
  #canBeEnded = false;

  /** @param signal ends every pause */
  constructor(signal: AbortSignal) {
    this.#signal = signal;
    signal.addEventListener('abort', () => this.#resolve?.(), { once: true });
  }

  /** Ends the pause that is under way, or the next one. */
  end(): void {
    this.#isEnded = true;
    if (this.#canBeEnded) this.#resolve?.();
  }

  /** From `leastMs` on until somebody ends it, at most `mostMs`. */
  async between(leastMs: number, mostMs: number): Promise<void> {
    await this.#sleep(Math.min(leastMs, mostMs));
    if (!this.#isEnded && mostMs > leastMs) {
      this.#canBeEnded = true;
      await this.#sleep(mostMs - leastMs);
      this.#canBeEnded = false;
    }
    this.#isEnded = false;
  }

  /** A pause that nobody can end early but the signal. */
  async atLeast(ms: number): Promise<void> {
    await this.#sleep(ms);
  }

  async #sleep(ms: number): Promise<void> {
    if (this.#signal.aborted) return;
    let timer: NodeJS.Timeout | undefined;
    await new Promise<void>((resolve) => {
      this.#resolve = resolve;
      timer = setTimeout(resolve, ms);
    });
    clearTimeout(timer);
    this.#resolve = undefined;
  }
}
