/** `export`: all memberships of a store as NDJSON, beside a running server too. */
import { createWriteStream } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { messageOf } from '../base/errors.js';
import { exportMemberships } from '../store/export.js';
import { CommandError } from './command-error.js';
import { watchedBar } from './progress-bar.js';
import { readableStore, type StoreDirectoryOptions } from './store-directory.js';
import type { Terminal } from './terminal.js';

export interface ExportOptions extends StoreDirectoryOptions {
  /** Packed with gzip when it ends in `.gz`; `-`, or none, is stdout. */
  readonly file?: string | undefined;
}

export async function exportStore(
  { file = '-', ...options }: ExportOptions,
  terminal: Terminal,
): Promise<void> {
  const path = await readableStore(options, terminal);
  const bar = file === '-' ? undefined : watchedBar(terminal);
  const lines = Readable.from(
    exportMemberships(path, (done, total) => bar?.say(done / Math.max(1, total))),
    { objectMode: false },
  );
  try {
    await writeTo(lines, file, terminal);
  } finally {
    bar?.end();
  }
}

async function writeTo(lines: Readable, file: string, terminal: Terminal): Promise<void> {
  if (file === '-') await pipeline(lines, terminal.stdout, { end: false });
  else {
    // One that is there may be anything.
    const target: Writable = createWriteStream(file, { mode: 0o600, flags: 'wx' });
    try {
      await (file.endsWith('.gz') ? pipeline(lines, createGzip(), target) : pipeline(lines, target));
    } catch (error) {
      throw writeFault(file, error) ?? error;
    }
    terminal.out(`wrote ${file}\n`);
  }
}

/** What the system says of the file, as a sentence with a way out. */
function writeFault(file: string, error: unknown): CommandError | undefined {
  const { code, path } = error as NodeJS.ErrnoException;
  if (path !== file) return undefined;
  const why = code === 'EEXIST' ? 'it is there already' : messageOf(error);
  return new CommandError(`${file} cannot be written (${why}): name another file`, { cause: error });
}
