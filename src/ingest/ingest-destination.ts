/** The destination that one source feeds: what it changes is numbered, committed under its name, applied and acknowledged (ingest.ts). */
import type { Change } from '../base/change.js';
import type { Engine } from '../engine/engine.js';
import { countMembers, membersOf, sumRooms, type MemberCounts } from '../engine/members.js';
import type { Replacement, Destination, RoomTotals } from '../source/destination.js';
import type { Store } from '../store/store.js';
import type { Ingest } from './ingest.js';
import { ShadowReplacement } from './shadow-replacement.js';

export class IngestDestination implements Destination {
  readonly #source: string;
  readonly #engine: Engine;
  readonly #ingest: Ingest;
  readonly #store: Pick<Store, 'cursor'>;

  constructor(
    source: string,
    { engine, ingest, store }: { engine: Engine; ingest: Ingest; store: Pick<Store, 'cursor'> },
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
    return membersOf(this.#engine, roomIds);
  }

  async sumRooms(hashOf?: (userId: string) => number): Promise<RoomTotals> {
    return sumRooms(this.#engine, hashOf);
  }

  async countMembers(): Promise<MemberCounts> {
    return countMembers(this.#engine);
  }
}
