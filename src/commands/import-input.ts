/**
 * The bytes that `import` reads: a file or stdin, unpacked when they are gzip, counted as they are read.
 *
 * Cost: one piece of the stream at a time, whatever the length.
 */
import { createReadStream } from 'node:fs';
import { stat } from 'node:fs/promises';
import { pipeline, Readable } from 'node:stream';
import { createGunzip } from 'node:zlib';
import { messageOf } from '../base/errors.js';
import { CommandError, exitCodes } from './command-error.js';

export interface ImportInput {
  /** How people know it. */
  readonly name: string;
  /** Of the file as it lies there, packed or not; undefined for stdin. */
  readonly bytesTotal: number | undefined;
  readonly bytes: AsyncIterable<Uint8Array>;
  /** Of `bytesTotal`. */
  bytesRead(): number;
}

export async function openInput(file: string, stdin: Readable): Promise<ImportInput> {
  const name = file === '-' ? 'stdin' : file;
  const bytesTotal = file === '-' ? undefined : await sizeOf(file);
  let bytesRead = 0;
  const counted = async function* (): AsyncGenerator<Uint8Array> {
    // Opened when it is read: a command that ends before leaves nothing open.
    const raw: AsyncIterable<Uint8Array> = file === '-' ? stdin : createReadStream(file);
    for await (const piece of raw) {
      bytesRead += piece.length;
      yield piece;
    }
  };
  return { name, bytesTotal, bytes: unpacked(counted(), name), bytesRead: () => bytesRead };
}

async function sizeOf(file: string): Promise<number> {
  let fault: string;
  try {
    const found = await stat(file);
    if (!found.isDirectory()) return found.size;
    fault = 'this is a folder; give a file of NDJSON, or - for stdin';
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    fault = code === 'ENOENT' ? 'there is no such file' : `it cannot be read: ${messageOf(error)}`;
  }
  throw new CommandError(`${file}: ${fault}`, { exitCode: exitCodes.usage });
}

async function* unpacked(pieces: AsyncGenerator<Uint8Array>, name: string): AsyncGenerator<Uint8Array> {
  try {
    // The first two bytes tell, and a pipe may well hand over one.
    let head: Uint8Array = Buffer.alloc(0);
    while (head.length < 2) {
      const next = await pieces.next();
      if (next.done === true) break;
      head = Buffer.concat([head, next.value]);
    }
    const whole = chain(head, pieces);
    const isGzip = head.length >= 2 && head[0] === 0x1f && head[1] === 0x8b;
    if (!isGzip && name.endsWith('.gz') && head.length > 0) {
      throw new CommandError(`${name}: it is named .gz, but is not gzip; rename it, or pack it`);
    }
    yield* isGzip ? gunzip(whole) : whole;
  } catch (error) {
    if (error instanceof CommandError) throw error;
    const { code } = error as NodeJS.ErrnoException;
    const fault =
      code === 'Z_BUF_ERROR' ? 'the gzip data is cut short' : `it cannot be read: ${messageOf(error)}`;
    throw new CommandError(`${name}: ${fault}`, { cause: error });
  }
}

async function* chain(head: Uint8Array, rest: AsyncIterable<Uint8Array>): AsyncGenerator<Uint8Array> {
  yield head;
  yield* rest;
}

function gunzip(packed: AsyncIterable<Uint8Array>): AsyncIterable<Uint8Array> {
  // An error of either stream surfaces where the unpacked bytes are read.
  return pipeline(Readable.from(packed, { objectMode: false }), createGunzip(), () => undefined);
}
