/** Words one behind another, as many as come: an array that doubles. */
export class WordList {
  #words = new Uint32Array(1024);
  #end = 0;

  push(...words: readonly number[]): void {
    this.#reserve(words.length);
    for (const word of words) this.#words[this.#end++] = word;
  }

  pushAll(words: Uint32Array): void {
    this.#reserve(words.length);
    this.#words.set(words, this.#end);
    this.#end += words.length;
  }

  /** @returns all of them, in memory of exactly that size: fit to be sent to another thread */
  take(): Uint32Array {
    return this.#words.slice(0, this.#end);
  }

  get length(): number {
    return this.#end;
  }

  #reserve(count: number): void {
    if (this.#end + count <= this.#words.length) return;
    const larger = new Uint32Array(Math.max(this.#end + count, this.#words.length * 2));
    larger.set(this.#words);
    this.#words = larger;
  }
}
