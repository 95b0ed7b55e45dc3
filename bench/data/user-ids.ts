/** Which names do benches intern? User IDs of 20 to 40 bytes, alike at both ends as those of the federation are. */
export class UserIds {
  /** Bytes of all names. */
  readonly bytes: number;
  readonly #text: Buffer;
  readonly #ends: Uint32Array;

  constructor(count: number) {
    this.#ends = new Uint32Array(count + 1);
    this.#text = Buffer.allocUnsafe(count * 40);
    let end = 0;
    for (let index = 0; index < count; index += 1) {
      const local = `${(Math.imul(index, 0x9e3779b1) >>> 0).toString(36)}.${index}`;
      end += this.#text.write(`@${local}:hs${index % 97}.example.org`, end, 'latin1');
      this.#ends[index + 1] = end;
    }
    this.bytes = end;
  }

  /** A new string each time: flat, and not hashed yet, like one that a request brought. */
  fresh(index: number): string {
    return this.#text.toString('latin1', this.#ends[index], this.#ends[index + 1]);
  }
}
