/** A figure for Prometheus that is read when it is scraped, as whoever knows it describes it. */
export interface Metric {
  readonly name: string;
  readonly help: string;
  /** A counter only ever rises while the process lives. */
  readonly kind: 'gauge' | 'counter';
  readonly read: () => number;
}
