/**
 * How memory that grows reaches other threads: one writer makes pieces of shared memory, and any number of readers get each
 * of them once.
 *
 * Promise: readers never wait. The writer posts a piece, then counts it, and only then writes into other memory what leads to
 * it. So a reader that finds something it has no piece for looks at the counter (`renew`), and has the piece after that.
 * Cost: an atomic load where nothing is new.
 */
import { MessageChannel, receiveMessageOnPort, type MessagePort } from 'node:worker_threads';

/** What a reader in another thread begins with. Sent to it once, with `port` in the list of what is transferred. */
export interface Subscription<Piece> {
  /** All that there was when it was made. */
  readonly pieces: readonly Piece[];
  /** How many have been posted since the memory was made. */
  readonly posted: Int32Array;
  readonly port: MessagePort;
}

/** The writer's side. */
export class Publisher<Piece> {
  readonly #posted = new Int32Array(new SharedArrayBuffer(4));
  readonly #ports = new Set<MessagePort>();

  /** Whether there is any reader. While there is none, nothing needs to be written in an order. */
  get isRead(): boolean {
    return this.#ports.size > 0;
  }

  /** Before anything that a reader reads leads to the piece. */
  post(piece: Piece): void {
    for (const port of this.#ports) port.postMessage(piece);
    Atomics.add(this.#posted, 0, 1);
  }

  /** @param pieces all that there are by now. */
  subscribe(pieces: readonly Piece[]): Subscription<Piece> {
    const { port1, port2 } = new MessageChannel();
    this.#ports.add(port1);
    // The reader's thread has ended.
    port1.on('close', () => this.#ports.delete(port1));
    // Nobody waits for messages here: a process must not stay alive for it.
    port1.unref();
    return { pieces, posted: this.#posted, port: port2 };
  }
}

/** A reader's side. */
export class Subscriber<Piece> {
  readonly #posted: Int32Array;
  readonly #port: MessagePort;
  readonly #take: (piece: Piece) => void;
  #seen: number;

  constructor({ pieces, posted, port }: Subscription<Piece>, take: (piece: Piece) => void) {
    this.#posted = posted;
    this.#port = port;
    this.#take = take;
    for (const piece of pieces) take(piece);
    // What was posted since `pieces` were listed is in the port: the first `renew` looks.
    this.#seen = -1;
  }

  /** Takes the pieces that have been posted since. */
  renew(): void {
    const posted = Atomics.load(this.#posted, 0);
    if (posted === this.#seen) return;
    this.#seen = posted;
    for (;;) {
      const received = receiveMessageOnPort(this.#port) as { message: Piece } | undefined;
      if (received === undefined) return;
      this.#take(received.message);
    }
  }

  close(): void {
    this.#port.close();
  }
}
