/** How a source that feeds the index live is: what `/ready` and the metrics say of it. */

export interface SourceStatus {
  readonly kind: 'synapse';
  /**
   * `connecting`; `copying` all memberships; `catching_up` with changes before now; `following` them; `disconnected` from the
   * database, or failing with what it read, and trying again.
   */
  readonly state: 'connecting' | 'copying' | 'catching_up' | 'following' | 'disconnected';
  /** Since the source was last read up to its end: what is newer may be missing. Infinity before the first time. */
  readonly ageSeconds: number;
  /** The highest stream id that was read. */
  readonly position: number;
  /** Stream ids below it that have not appeared yet. */
  readonly gapsOpen: number;
  /** Ids that never appeared, and are not looked for any more. */
  readonly gapsRetired: number;
  /** Rows that were read: memberships copied, and those that changes touched. */
  readonly rowsRead: number;
  /** Memberships that came to be otherwise, copies left out. */
  readonly changesMade: number;
  /** How often all memberships were copied. */
  readonly copies: number;
  /** How often the connection was lost, or anything else went wrong. */
  readonly failures: number;
  readonly reconciled: ReconcileStatus;
  /** Whether Redis is listened to; undefined where none is configured. */
  readonly redisUp: boolean | undefined;
  /** The last thing that went wrong, and when, in milliseconds since 1970. */
  readonly lastError: { readonly message: string; readonly atMs: number } | undefined;
}

/** Comparisons with the database: all numbers count from the start of the process, but `last`. */
export interface ReconcileStatus {
  readonly runs: number;
  readonly sweeps: number;
  readonly roomsCompared: number;
  /** Rooms that were changed meanwhile, and so not compared. */
  readonly roomsSkipped: number;
  /** Rooms that a sweep found purged. */
  readonly roomsPurged: number;
  /** Rooms that differed without a reason, and how many memberships were put right there. */
  readonly roomsDrifted: number;
  readonly membershipsRepaired: number;
  readonly last: { readonly atMs: number; readonly seconds: number } | undefined;
}
