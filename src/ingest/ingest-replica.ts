/** The replica that one source feeds: what it changes is numbered, committed under its name, applied and acknowledged (ingest.ts). */
import type { Change } from '../base/change.js';
import type { MembershipEngine } from '../engine/engine.js';
import type { MemberCounts, Replacement, Replica, RoomTotals } from '../source/replica.js';
import type { Store } from '../store/store.js';
import type { Ingest } from './ingest.js';
import { ShadowReplacement } from './shadow-replacement.js';

export class IngestReplica implements Replica {
  readonly #source: string;
  readonly #engine: MembershipEngine;
  readonly #ingest: Ingest;
  readonly #store: Pick<Store, 'cursor'>;

  constructor(
    source: string,
    { engine, ingest, store }: { engine: MembershipEngine; ingest: Ingest; store: Pick<Store, 'cursor'> },
  ) {
    this.#source = source;
    this.#engine = engine;
    this.#ingest = ingest;
    this.#store = store;
  }

  get cursor(): Uint8Array | undefined {
    return this.#store.cursor(this.#source);
  }

  async apply(changes: readonly Change[], cursor?: Uint8Array): Promise<number> {
    const stored = cursor === undefined ? undefined : { source: this.#source, value: cursor };
    return (await this.#ingest.apply(changes, stored)).applied;
  }

  async replace(): Promise<Replacement> {
    return ShadowReplacement.begin(this.#source, this.#engine, this.#ingest);
  }

  async membersOf(roomIds: readonly string[]): Promise<Map<string, string[]>> {
    return this.#engine.membersOf(roomIds);
  }

  async sumRooms(hashOf?: (userId: string) => number): Promise<RoomTotals> {
    return this.#engine.sumRooms(hashOf);
  }

  async countMembers(): Promise<MemberCounts> {
    const totals = await this.#engine.sumRooms();
    /** Those that were asked for: sums can be taken once. */
    const counts = new Map<string, number>();
    const countOf = (roomId: string): number => {
      const count = counts.get(roomId) ?? totals.take(roomId).count;
      counts.set(roomId, count);
      return count;
    };
    return { roomIds: () => totals.roomIds(), countOf };
  }
}
