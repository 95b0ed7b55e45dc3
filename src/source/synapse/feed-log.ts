/** What the feed tells, as lines of the log, and as progress of a start. */
import type { SourceLog } from '../source.js';
import type { FeedObserver, FeedPart } from './feed-observer.js';

const failureTexts: Readonly<Record<FeedPart, string>> = {
  follow: 'the source cannot be followed: it is tried again, and the index stays as it is',
  sweep: 'purged rooms cannot be looked for: it is tried again',
  reconcile: 'rooms cannot be compared with the database: it is tried again',
};

/** @param onProgress of the first copy: how much of it is done, and what it waits for */
export function feedLog(
  log: SourceLog,
  onProgress: (share: number, waitsFor?: string) => void,
): FeedObserver {
  /** The last failure of each part, while it fails: the same again is no news. */
  const failing = new Map<FeedPart, string>();
  return {
    copying: (rows, about) => onProgress(about === 0 ? 1 : rows / about),
    copied: ({ why, rows, joined, left, seconds }) =>
      log.info(
        { why, rows, joined, left, seconds: Number(seconds.toFixed(3)) },
        'all memberships were copied from the homeserver',
      ),
    following: (position) => {
      failing.delete('follow');
      log.info({ position }, 'the index is what the homeserver has, and follows its changes');
    },
    failed: (part, message) => {
      if (part === 'follow') onProgress(0, message);
      const isNews = failing.get(part) !== message;
      failing.set(part, message);
      log[isNews ? 'error' : 'debug']({ reason: message }, failureTexts[part]);
    },
    compared: (part) => {
      if (failing.delete(part)) log.info({ part }, 'it works again');
    },
    notTheSame: (message) =>
      log.error(
        { reason: message },
        'the database was put back or exchanged: all memberships are copied anew',
      ),
    gapsRetired: (ids) =>
      log.warn(
        { ids },
        'stream ids never appeared, and are not looked for any more: only comparing all rooms would find what they were',
      ),
    repaired: (rooms) => log.error({ rooms }, 'the index was not what the database has, and was put right'),
    swept: (rooms) => log.info({ rooms }, 'rooms were purged from the homeserver, and are empty now'),
    advice: (message) => log.warn({}, message),
  };
}
