/** `export`: all memberships of a store as NDJSON, beside a running server too. */
import { open, rm } from 'node:fs/promises';
import { Readable } from 'node:stream';
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
  const startedAtMs = terminal.clock.monotonicMs();
  let memberships = 0;
  async function* lines(): AsyncGenerator<Buffer> {
    memberships = yield* exportMemberships(path, (done, total) => bar?.say(done / Math.max(1, total)));
  }
  try {
    await writeTo(Readable.from(lines(), { objectMode: false }), file, terminal);
  } finally {
    bar?.end();
  }
  const seconds = (terminal.clock.monotonicMs() - startedAtMs) / 1000;
  const where = file === '-' ? 'stdout' : file;
  terminal.err(`wrote ${memberships} memberships, one a line, to ${where} in ${seconds.toFixed(1)} s\n`);
}

async function writeTo(lines: Readable, file: string, terminal: Terminal): Promise<void> {
  if (file === '-') {
    await pipeline(lines, terminal.stdout, { end: false });
    return;
  }
  // One that is there may be anything.
  const handle = await open(file, 'wx', 0o600).catch((error: unknown) => {
    throw cannotBeWritten(file, error);
  });
  try {
    const target = handle.createWriteStream();
    await (file.endsWith('.gz') ? pipeline(lines, createGzip(), target) : pipeline(lines, target));
  } catch (error) {
    // A part of it would pass for all.
    await rm(file, { force: true });
    throw (error as NodeJS.ErrnoException).syscall === 'write' ? cannotBeWritten(file, error) : error;
  }
}

function cannotBeWritten(file: string, error: unknown): CommandError {
  const isThere = (error as NodeJS.ErrnoException).code === 'EEXIST';
  const why = isThere ? 'it is there already' : messageOf(error);
  return new CommandError(`${file} cannot be written (${why}): name another file`, { cause: error });
}
