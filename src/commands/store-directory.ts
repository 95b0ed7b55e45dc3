/** Where the store is that a command works on: `--data-dir`, else `data_dir` of the configuration. */
import { resolve } from 'node:path';
import { loadConfig } from '../config/load.js';
import { findStore } from '../store/data-directory.js';
import { probeStore } from '../store/inspect.js';
import { CommandError, exitCodes } from './command-error.js';
import type { Terminal } from './terminal.js';

export interface StoreDirectoryOptions {
  readonly config?: string | undefined;
  readonly dataDir?: string | undefined;
}

/** @throws CommandError when there is none, ConfigError */
export function storeDirectory({ config: file, dataDir }: StoreDirectoryOptions, terminal: Terminal): string {
  if (dataDir !== undefined) return resolve(dataDir);
  const config = loadConfig({ file, env: terminal.env, serves: false });
  if (config.dataDir !== null) return config.dataDir;
  throw new CommandError('data_dir is null, so there is no store: name its folder with --data-dir', {
    exitCode: exitCodes.usage,
  });
}

/**
 * @returns the path of the store there, which has been read once: a damaged one would end this process without a word
 * @throws PublicError INVALID, DAMAGED, too
 */
export async function readableStore(options: StoreDirectoryOptions, terminal: Terminal): Promise<string> {
  const path = findStore(storeDirectory(options, terminal));
  await probeStore(path);
  return path;
}
