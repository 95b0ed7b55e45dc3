/**
 * The index as a source sees it: where its memberships go. It is changed, replaced as a whole, and compared with the truth. `ingest/ingest-destination.ts` makes it.
 */
import type { Change } from '../base/change.js';

export interface Destination {
  /** What the last commit of this source said of how far it was read; undefined when it never did. */
  readonly cursor: Uint8Array | undefined;
  /**
   * States memberships, which are safe and seen when this resolves, together with the cursor. One call at a time.
   * @returns how many changed anything
   * @throws PublicError UNAVAILABLE, FULL, OVERLOADED: none of them is made then, or all are made again
   */
  apply(changes: readonly Change[], cursor?: Uint8Array): Promise<number>;
  /** Begins to replace all memberships. One at a time, and nothing is applied meanwhile. */
  replace(): Promise<Replacement>;
  /**
   * Who is joined to these rooms, at most `roomsPerSearchMax` of them. Changes made meanwhile may be in it or not.
   * @returns the members of each room that has any
   */
  membersOf(roomIds: readonly string[]): Promise<Map<string, string[]>>;
  /**
   * Sums over the members of each room; those of rooms that are changed meanwhile come out wrong.
   * @param hashOf without it all hashes are 0, which is faster
   */
  sumRooms(hashOf?: (userId: string) => number): Promise<RoomTotals>;
  /** How many are joined to each room; a room that is changed meanwhile may be counted before or after. */
  countMembers(): Promise<MemberCounts>;
}

/** Memberships that are to take the place of all that are there, which answer meanwhile. */
export interface Replacement {
  /** @param joins more of them, in any order; one call at a time */
  add(joins: readonly Change[]): Promise<void>;
  /**
   * Changes what differs. Up to `changesAtOnceMax` changes are made in one commit, with the cursor; more of them in several.
   * @param cursors `unfinished` holds while a part is made, `finished` afterwards
   */
  finish(cursors: { readonly unfinished: Uint8Array; readonly finished: Uint8Array }): Promise<Replaced>;
  /** Gives back what it takes; whatever was not finished is dropped. */
  close(): Promise<void>;
}

export interface Replaced {
  readonly joined: number;
  readonly left: number;
}

export interface MemberCounts {
  /** Those that anybody is joined to. */
  roomIds(): Iterable<string>;
  /** 0 for any other room. */
  countOf(roomId: string): number;
}

export interface RoomTotals {
  /** What the sums of a room were: they are nothing afterwards. */
  take(roomId: string): { readonly count: number; readonly hash: number };
  /** Those that anybody is joined to, and whose sums were not taken. */
  roomIds(): Iterable<string>;
}
