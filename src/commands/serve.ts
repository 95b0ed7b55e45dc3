/**
 * `serve`: the server, from its configuration until a signal. Logs go to stderr; stdout gets the one line that says
 * where it listens, once it does.
 */
import { type DestinationStream, type Logger, pino } from 'pino';
import { type App, startApp } from '../app.js';
import { type Config, loadConfig } from '../config/load.js';
import { listenFault } from './command-error.js';
import type { Terminal } from './terminal.js';

export interface ServeOptions {
  readonly config?: string | undefined;
}

export async function serve({ config: file }: ServeOptions, terminal: Terminal): Promise<void> {
  const config = loadConfig({ file, env: terminal.env });
  const logger = makeLogger(config.logLevel, terminal);
  const app = await start(config, logger);
  const shards =
    config.shards === 0 ? 'inline' : `${config.shards} ${config.shards === 1 ? 'shard' : 'shards'}`;
  const metrics = app.metricsUrl === undefined ? '' : `, metrics on ${app.metricsUrl}`;
  terminal.out(`mutual-rooms listens on ${app.url} (${shards}, memory only${metrics})\n`);
  await closeOnSignal(app, logger, terminal);
}

export function makeLogger(level: string, terminal: Terminal): Logger {
  const stderr: DestinationStream = { write: (line) => terminal.err(line) };
  return pino({ level }, stderr);
}

/** @throws CommandError when the address cannot be listened on */
export async function start(config: Config, logger: Logger): Promise<App> {
  try {
    return await startApp(config, { logger });
  } catch (error) {
    logger.debug({ err: error }, 'the server did not start');
    throw listenFault(error) ?? error;
  }
}

/** Waits for the signal, then for what is in flight. */
export async function closeOnSignal(app: App, logger: Logger, terminal: Terminal): Promise<void> {
  const signal = await terminal.stopSignal();
  logger.info({ signal }, 'stopping: what is in flight is finished');
  await app.close();
}
