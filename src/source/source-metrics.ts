/** What Prometheus reads of a source: what every source has, and what it has beside. */
import type { Metric } from '../base/metric.js';
import type { Source } from './source.js';

export function sourceMetrics(source: Source): readonly Metric[] {
  return [
    {
      name: 'mutual_rooms_source_up',
      help: '1 while changes are followed, caught up with, or copied; 0 while the source cannot be read, or its changes cannot be kept.',
      kind: 'gauge',
      read: () => (['disconnected', 'connecting'].includes(source.status.state) ? 0 : 1),
    },
    {
      name: 'mutual_rooms_source_age_seconds',
      help: 'Since the source was last read up to its end: what is newer may be missing. +Inf before the first time. How far a standby that is read lags behind is not in it.',
      kind: 'gauge',
      read: () => source.status.ageSeconds,
    },
    {
      name: 'mutual_rooms_source_failures_total',
      help: 'How often the connection was lost, or something else went wrong: the log says what.',
      kind: 'counter',
      read: () => source.status.failures,
    },
    ...source.metrics,
  ];
}
