/**
 * The log, line by line on stderr: JSON for whatever collects it, or text where a person reads it on a terminal.
 *
 * Invariant: from the moment there is a log, an error that ends the command is a line of it, in the same form.
 * Cost: lines are written synchronously, so the last one before an end is not lost; text costs a second formatting.
 */
import { type DestinationStream, type Logger, pino } from 'pino';
import { prettyFactory } from 'pino-pretty';
import { messageOf, PublicError } from '../base/errors.js';
import { resourceFaultOf } from '../base/resource-fault.js';
import type { Config } from '../config/load.js';
import { CommandError, exitCodeOf } from './command-error.js';
import type { Terminal } from './terminal.js';

export function makeLogger(
  { logLevel, logFormat = 'auto' }: Pick<Config, 'logLevel' | 'logFormat'>,
  terminal: Terminal,
): Logger {
  const isText = logFormat === 'auto' ? terminal.watched : logFormat === 'text';
  const stderr: DestinationStream = { write: (line) => terminal.err(line) };
  if (!isText) return pino({ level: logLevel }, stderr);
  const asText = prettyFactory({
    colorize: terminal.colored,
    translateTime: 'SYS:HH:MM:ss.l',
    // Processes are told apart by who collects their lines; the rest stands in the text of its line.
    ignore: 'pid,hostname,phase,share,signal',
    singleLine: true,
  });
  return pino({ level: logLevel }, { write: (line) => terminal.err(asText(line)) });
}

/**
 * Runs what the log tells of. What it throws is logged, and thrown on as an error that has been told; an exception that nobody
 * catches is logged, and ends the process: what it left behind is suspect.
 */
export async function logged(logger: Logger, terminal: Terminal, run: () => Promise<void>): Promise<void> {
  terminal.onUncaught((error) => {
    // At a limit of the process anything may fail, wherever it is.
    const limit = resourceFaultOf(error);
    if (limit === undefined)
      logger.fatal({ err: error }, 'the process ends by a fault of its own: report it, please');
    else logger.fatal(limit);
  });
  try {
    await run();
  } catch (error) {
    // Whoever silenced the log still hears why the command failed.
    if (!logger.isLevelEnabled('fatal')) throw error;
    const isExpected = error instanceof CommandError || error instanceof PublicError;
    logger.fatal(isExpected && !logger.isLevelEnabled('debug') ? {} : { err: error }, messageOf(error));
    throw new CommandError(messageOf(error), { exitCode: exitCodeOf(error), cause: error, isTold: true });
  }
}
