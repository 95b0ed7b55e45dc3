/** `export`: all memberships of a store as NDJSON, beside a running server too. */
import { createWriteStream } from 'node:fs';
import { Readable, type Writable } from 'node:stream';
import { pipeline } from 'node:stream/promises';
import { createGzip } from 'node:zlib';
import { exportMemberships } from '../store/export.js';
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
    const target: Writable = createWriteStream(file, { mode: 0o600 });
    await (file.endsWith('.gz') ? pipeline(lines, createGzip(), target) : pipeline(lines, target));
  }
}
