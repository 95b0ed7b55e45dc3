/**
 * Changes that take more than one turn of the event loop, and all that wait for them: each takes effect after those whose calls
 * came before it.
 */
export class ChangeOrder {
  /** Those that are being made, and all that wait. */
  #taken = 0;
  /** Settled when the last of them has ended. */
  #last: Promise<unknown> = Promise.resolve();

  /**
   * Makes a change now, unless a long one is being made: then after it, and whatever comes later after both.
   * @param isLong whether the change is not made whole, or sent on whole, when the call returns
   */
  make<Result>(isLong: boolean, change: () => Promise<Result>): Promise<Result> {
    if (!isLong && this.#taken === 0) return change();
    this.#taken += 1;
    const turn = this.#taken === 1 ? change() : this.#last.then(change);
    const ended = (): void => void (this.#taken -= 1);
    this.#last = turn.then(ended, ended);
    return turn;
  }
}
