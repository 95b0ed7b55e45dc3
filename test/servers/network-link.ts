/**
 * A way to a server that can be cut, muted and mended: a relay on a loopback port of its own. For what happens when two servers do
 * not reach each other, and each goes on by itself.
 *
 * Invariant: while it is cut nothing passes, and who connects is turned away at once; connections of before are gone. What was open
 * when it was muted stays open, and nothing passes there any more; what is opened later works.
 * Cost: a copy of each byte.
 */
import { once } from 'node:events';
import { connect, createServer, type Server, type Socket } from 'node:net';

export class NetworkLink {
  readonly port: number;
  /** How many have connected while it was cut. */
  turnedAway = 0;
  readonly #server: Server;
  readonly #sockets = new Set<Socket>();
  #isCut = false;

  /** From one port of the loopback address to another one. */
  static async open(port: number, target: number): Promise<NetworkLink> {
    const link = new NetworkLink(port, target);
    link.#server.listen(port, '127.0.0.1');
    await once(link.#server, 'listening');
    return link;
  }

  private constructor(port: number, target: number) {
    this.port = port;
    this.#server = createServer((inner) => {
      if (this.#isCut) {
        this.turnedAway += 1;
        inner.destroy();
        return;
      }
      const outer = connect(target, '127.0.0.1');
      for (const [socket, other] of [
        [inner, outer],
        [outer, inner],
      ]) {
        this.#sockets.add(socket);
        socket.on('error', () => other.destroy());
        socket.on('close', () => {
          this.#sockets.delete(socket);
          other.destroy();
        });
        socket.pipe(other);
      }
    });
  }

  cut(): void {
    this.#isCut = true;
    for (const socket of this.#sockets) socket.destroy();
  }

  mute(): void {
    for (const socket of this.#sockets) {
      socket.unpipe();
      socket.resume();
    }
  }

  mend(): void {
    this.#isCut = false;
  }

  async close(): Promise<void> {
    this.cut();
    if (!this.#server.listening) return;
    this.#server.close();
    await once(this.#server, 'close');
  }
}
