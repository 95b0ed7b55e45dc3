/** The backend of the endpoints, from the first moment on: it says how far the start is, and then has what they answer from. */
import { PublicError } from '../base/errors.js';
import { type Backend, type BackendParts, type Starting, startingText } from '../http/backend.js';

const retryAfterSeconds = 2;

export class StartingBackend implements Backend {
  #parts: BackendParts | undefined;
  #starting: Starting = { phase: 'opened', share: 0 };
  source: Backend['source'];

  get starting(): Starting | undefined {
    return this.#parts === undefined ? this.#starting : undefined;
  }

  /** Notes how far the start has come. */
  tell(starting: Starting): void {
    this.#starting = starting;
  }

  open(parts: BackendParts): void {
    this.#parts = parts;
  }

  get(): BackendParts {
    if (this.#parts !== undefined) return this.#parts;
    // Clients are not told what it waits for: that may name the host of the database.
    const text = startingText({ ...this.#starting, waitsFor: undefined });
    throw new PublicError('UNAVAILABLE', text, { retryAfterSeconds });
  }
}
