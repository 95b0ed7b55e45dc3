/**
 * `serve`: the server, from its configuration until a signal. Logs go to stderr; stdout gets the one line that says
 * where it listens, once it does.
 */
import type { Logger } from 'pino';
import { type App, startApp } from '../service/app.js';
import { type Config, loadConfig } from '../config/load.js';
import { startingText, type Starting } from '../http/backend.js';
import { exitCodes, listenFault } from './command-error.js';
import { logged, makeLogger } from './log.js';
import type { Terminal } from './terminal.js';

/** What is in flight, and whatever else a stop waits for, has so long: requests have ten seconds (http/server.ts). */
const stopMsMax = 15_000;

/** How often the log says how far a start has come. */
const saidEveryMs = 2000;

export interface ServeOptions {
  readonly config?: string | undefined;
}

export async function serve({ config: file }: ServeOptions, terminal: Terminal): Promise<void> {
  const config = loadConfig({ file, env: terminal.env });
  const logger = makeLogger(config, terminal);
  await logged(logger, terminal, () => run(config, logger, terminal));
}

async function run(config: Config, logger: Logger, terminal: Terminal): Promise<void> {
  for (const warning of config.warnings ?? []) logger.warn(warning);
  const report = new StartReport(logger, terminal);
  const signalled = terminal.stopSignal();
  let isStarting = true;
  // Loading may take minutes, and there is nothing in flight: the store is as it was.
  void signalled.then((signal) => {
    if (!isStarting) return;
    logger.info({ signal }, 'stopped while starting');
    terminal.exit(exitCodes.ok);
  });
  const app = await start(config, logger, (starting) => report.say(starting));
  isStarting = false;
  logger.info('the index is loaded: questions are answered');
  const shards =
    config.shards === 0 ? 'inline' : `${config.shards} ${config.shards === 1 ? 'shard' : 'shards'}`;
  const kept = config.dataDir === null ? 'memory only' : `store in ${config.dataDir}`;
  const metrics = app.metricsUrl === undefined ? '' : `, metrics on ${app.metricsUrl}`;
  terminal.out(`mutual-rooms listens on ${app.url} (${shards}, ${kept}${metrics})\n`);
  await closeOnSignal(app, logger, signalled, terminal);
}

/** Says how far a start has come, by a line in the log every few seconds. */
class StartReport {
  readonly #logger: Logger;
  readonly #terminal: Terminal;
  #phase: Starting['phase'] | undefined;
  #saidAtMs = 0;

  constructor(logger: Logger, terminal: Terminal) {
    this.#logger = logger;
    this.#terminal = terminal;
  }

  say({ phase, share }: Starting): void {
    const nowMs = this.#terminal.clock.monotonicMs();
    if (phase !== this.#phase || nowMs - this.#saidAtMs >= saidEveryMs) {
      this.#saidAtMs = nowMs;
      // What it waits for, if anything, the source has logged as its failure.
      this.#logger.info({ phase, share }, startingText({ phase, share }));
    }
    this.#phase = phase;
  }
}

/**
 * @returns when the index is loaded
 * @throws CommandError when the address cannot be listened on, PublicError when the store cannot be opened
 */
export async function start(
  config: Config,
  logger: Logger,
  onStarting: (starting: Starting) => void = () => undefined,
): Promise<App> {
  let app: App | undefined;
  try {
    app = await startApp(config, { logger, onStarting });
    await app.ready;
    return app;
  } catch (error) {
    await app?.close();
    throw listenFault(error) ?? error;
  }
}

/** Waits for the signal, then for what is in flight. */
export async function closeOnSignal(
  app: App,
  logger: Logger,
  signalled: Promise<string>,
  terminal: Terminal,
): Promise<void> {
  const signal = await signalled;
  logger.info({ signal }, 'stopping: what is in flight is finished');
  terminal.exitAfter(stopMsMax, () =>
    logger.error(
      `not ended ${stopMsMax / 1000} s after the signal: something waits, like a disk that stands still; ` +
        'the process ends all the same, and what was acknowledged is safe',
    ),
  );
  await app.close();
  logger.info('stopped');
}
