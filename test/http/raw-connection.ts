/**
 * Do answers come whole and in order, however a client treats its connection? One socket that sends requests ahead of
 * their answers, or stops reading; what comes in is cut into answers by their Content-Length and nothing else.
 */
import { once } from 'node:events';
import { connect, type Socket } from 'node:net';

export interface RawAnswer {
  readonly status: number;
  readonly headers: ReadonlyMap<string, string>;
  readonly body: Buffer;
}

const headEnd = Buffer.from('\r\n\r\n');

export class RawConnection {
  readonly #socket: Socket;
  readonly #answers: RawAnswer[] = [];
  #chunks: Buffer[] = [];
  #bytes = 0;
  /** Bytes that must be there before another look is worth while. */
  #bytesNeeded = 1;
  #isClosed = false;
  #wake: (() => void) | undefined;

  private constructor(socket: Socket) {
    this.#socket = socket;
    socket.on('data', (chunk) => this.#take(chunk));
    // Who is cut off while sending gets a reset; `isClosed` tells it to those who care.
    socket.on('error', () => undefined);
    socket.on('close', () => {
      this.#isClosed = true;
      this.#wake?.();
    });
  }

  static async open(url: string): Promise<RawConnection> {
    const { hostname, port } = new URL(url);
    const socket = connect(Number(port), hostname);
    await once(socket, 'connect');
    return new RawConnection(socket);
  }

  static async openMany(url: string, count: number): Promise<RawConnection[]> {
    const opened: RawConnection[] = [];
    // Fewer at a time than the system lets wait to be accepted.
    while (opened.length < count) {
      const more = Math.min(100, count - opened.length);
      opened.push(...(await Promise.all(Array.from({ length: more }, async () => RawConnection.open(url)))));
    }
    return opened;
  }

  /** Whether the server, or this side, has closed it. */
  get isClosed(): boolean {
    return this.#isClosed;
  }

  /** Bytes that were written and that the system has not taken: the server does not read. */
  get bytesUnsent(): number {
    return this.#socket.writableLength;
  }

  /** Sends requests without waiting for anything, all of them in as few writes as the system makes of it. */
  send(paths: readonly string[], token: string): void {
    const head = `HTTP/1.1\r\nHost: x\r\nAuthorization: Bearer ${token}\r\n\r\n`;
    this.#socket.write(paths.map((path) => `GET ${path} ${head}`).join(''));
  }

  /** Sends these bytes, whatever they are. */
  write(bytes: string): void {
    this.#socket.write(bytes);
  }

  /** Reads nothing from now on, until `readOn`. */
  stopReading(): void {
    this.#socket.pause();
  }

  readOn(): void {
    this.#socket.resume();
  }

  /** The next answer in order. @returns undefined when the connection was closed without one */
  async next(): Promise<RawAnswer | undefined> {
    while (this.#answers.length === 0 && !this.#isClosed) {
      await new Promise<void>((resolve) => (this.#wake = resolve));
    }
    return this.#answers.shift();
  }

  async ask(path: string, token: string): Promise<RawAnswer | undefined> {
    this.send([path], token);
    return this.next();
  }

  close(): void {
    this.#socket.destroy();
  }

  #take(chunk: Buffer): void {
    this.#chunks.push(chunk);
    this.#bytes += chunk.length;
    if (this.#bytes < this.#bytesNeeded) return;
    let rest = Buffer.concat(this.#chunks);
    for (;;) {
      const end = rest.indexOf(headEnd);
      if (end === -1) {
        this.#bytesNeeded = rest.length + 1;
        break;
      }
      const [statusLine, ...lines] = rest.subarray(0, end).toString('latin1').split('\r\n');
      const headers = new Map(
        lines.map((line) => {
          const colon = line.indexOf(':');
          return [line.slice(0, colon).toLowerCase(), line.slice(colon + 1).trim()];
        }),
      );
      const bodyStart = end + headEnd.length;
      const bodyEnd = bodyStart + Number(headers.get('content-length') ?? 0);
      if (rest.length < bodyEnd) {
        this.#bytesNeeded = bodyEnd;
        break;
      }
      const status = Number(/^HTTP\/1\.1 (\d{3}) /.exec(statusLine)?.[1]);
      this.#answers.push({ status, headers, body: rest.subarray(bodyStart, bodyEnd) });
      rest = rest.subarray(bodyEnd);
    }
    this.#chunks = [rest];
    this.#bytes = rest.length;
    this.#wake?.();
  }
}
