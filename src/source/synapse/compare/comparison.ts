/** What the sweep and the reconciliation share: what they are given, and queries with a pause after each. */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Clock } from '../../../base/clock.js';
import type { Destination } from '../../destination.js';
import { comparingPause } from '../bounds.js';
import type { Connection } from '../database/connection.js';
import type { Errands } from '../follow/errands.js';
import type { FeedObserver } from '../feed-observer.js';
import type { Follower } from '../follow/follower.js';

export interface ComparisonDeps {
  readonly destination: Destination;
  readonly observer: FeedObserver;
  readonly clock: Clock;
  readonly errands: Errands;
  readonly signal: AbortSignal;
  readonly follower: Pick<Follower, 'recordTouched' | 'stopRecording'>;
}

/** A query, and a pause after it. @throws also when the feed is closed */
export async function askAtLeisure<Row extends object>(
  connection: Connection,
  { clock, signal }: Pick<ComparisonDeps, 'clock' | 'signal'>,
  text: string,
  values: readonly unknown[],
): Promise<Row[]> {
  const beganMs = clock.monotonicMs();
  const rows = await connection.query<Row>(text, values);
  await sleep(comparingPause * (clock.monotonicMs() - beganMs), undefined, { signal });
  return rows;
}
