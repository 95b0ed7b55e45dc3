/** What a feed tells while it works: for the log, and for the progress of a start. */

/** What of it can fail by itself. */
export type FeedPart = 'follow' | 'sweep' | 'reconcile';

export interface FeedObserver {
  /** Rows of about so many have been copied. */
  copying(rows: number, about: number): void;
  /** @param why all memberships were copied */
  copied(copied: {
    readonly why: string;
    readonly rows: number;
    readonly joined: number;
    readonly left: number;
    readonly seconds: number;
  }): void;
  /** The stream was read to its end, and is followed from here: again or for the first time. */
  following(position: number): void;
  /** It is tried again until it works. @param what it was that failed */
  failed(what: FeedPart, message: string): void;
  /** Rooms were looked at without a failure. */
  compared(what: FeedPart): void;
  /** The database is not the one that was read before: all is copied anew. */
  notTheSame(message: string): void;
  /** Ids that never appeared are not looked for any more. */
  gapsRetired(ids: number): void;
  /** The index did not have what the database has, and was put right. */
  repaired(rooms: number): void;
  /** Rooms were purged, and are empty now. */
  swept(rooms: number): void;
  /** Something that the operator may want to change; said once. */
  advice(message: string): void;
}
