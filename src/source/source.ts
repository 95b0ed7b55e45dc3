/**
 * A source of memberships that feeds the index while it serves: it brings the index to where the truth is, and keeps it there. How it
 * does that is its own business, in a folder of its own; sources.ts names them all, and nobody else knows one.
 */
import type { Clock } from '../base/clock.js';
import type { Metric } from '../base/metric.js';
import type { Destination } from './destination.js';

export interface Source {
  /** Begins to feed the index. What fails is tried again, for ever, and the index stays as it was meanwhile. */
  start(): void;
  /** Resolves when the index may answer, or when the source is closed. */
  readonly ready: Promise<void>;
  /** Ends after what is being committed. */
  close(): Promise<void>;
  readonly status: SourceStatus;
  /** What it counts and measures beside what every source does, of this process; read when it is scraped. */
  readonly metrics: readonly Metric[];
}

/** What `/ready` says of a source. */
export interface SourceStatus {
  /** Its name in the configuration. */
  readonly kind: string;
  /**
   * `connecting`; `copying` all memberships; `catching_up` with changes before now; `following` them; `disconnected` from where it
   * reads, or failing with what it read, and trying again.
   */
  readonly state: 'connecting' | 'copying' | 'catching_up' | 'following' | 'disconnected';
  /** Since the source was last read up to its end: what is newer may be missing. Infinity before the first time. */
  readonly ageSeconds: number;
  /** How often the connection was lost, or anything else went wrong. */
  readonly failures: number;
  /** The last thing that went wrong, and when, in milliseconds since 1970. */
  readonly lastError: { readonly message: string; readonly atMs: number } | undefined;
  /** Whatever else it says of itself, in the words of JSON. */
  readonly details: Readonly<Record<string, unknown>>;
}

/** What a source is given. */
export interface SourceDeps {
  readonly destination: Destination;
  readonly log: SourceLog;
  readonly clock: Clock;
  /** Told, again and again, how far it is until the index may answer. */
  readonly onProgress: (progress: SourceProgress) => void;
}

export interface SourceProgress {
  /** Whether memberships are copied for the first time, or changes made that were missed. */
  readonly phase: 'copied' | 'updated';
  /** From 0 to 1. */
  readonly share: number;
  /** What it waits for, where that is not in its own hands; the source has logged it. */
  readonly waitsFor?: string | undefined;
}

/** Where it says what operators should know: one line for what goes on, however often that is tried. */
export type SourceLog = Readonly<
  Record<'debug' | 'info' | 'warn' | 'error', (fields: object, text: string) => void>
>;
