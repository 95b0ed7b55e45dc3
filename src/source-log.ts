/** What a feed tells, as lines of the log, and as progress of a start. */
import type { FastifyBaseLogger } from 'fastify';
import type { FeedObserver } from './source/synapse/feed-observer.js';

/** @param onProgress of the first copy: how much of it is done, and what it waits for */
export function sourceLog(
  logger: FastifyBaseLogger,
  onProgress: (share: number, waitsFor?: string) => void,
): FeedObserver {
  /** What the last failure was: the same again is no news. */
  let lastFailure: string | undefined;
  return {
    copying: (rows, about) => onProgress(about === 0 ? 1 : rows / about),
    copied: ({ why, rows, joined, left, seconds }) =>
      logger.info({ why, rows, joined, left, seconds }, 'all memberships were copied from the homeserver'),
    following: (position) => {
      lastFailure = undefined;
      logger.info({ position }, 'changes of the homeserver are followed');
    },
    failed: (message) => {
      onProgress(0, message);
      const isNews = message !== lastFailure;
      lastFailure = message;
      logger[isNews ? 'error' : 'debug'](
        { reason: message },
        'the source failed: it is tried again; what the index has stays',
      );
    },
    notTheSame: (message) =>
      logger.error(
        { reason: message },
        'the database was put back or exchanged: all memberships are copied anew',
      ),
    gapsRetired: (ids) =>
      logger.warn(
        { ids },
        'stream ids never appeared, and are not looked for any more: only comparing all rooms would find what they were',
      ),
    repaired: (rooms) =>
      logger.error({ rooms }, 'the index was not what the database has, and was put right'),
    swept: (rooms) => logger.info({ rooms }, 'rooms were purged from the homeserver, and are empty now'),
    advice: (message) => logger.warn(message),
  };
}
