/**
 * The feed in this process, into an engine with or without a store, so that a test can look at everything. It can be ended and begun
 * again on what it has stored.
 */
import { onTestFinished } from 'vitest';
import { systemClock, type Clock } from '../../src/base/clock.js';
import { loadEngine, type Engine } from '../../src/engine/engine.js';
import { IngestDestination } from '../../src/ingest/ingest-destination.js';
import { Ingest } from '../../src/ingest/ingest.js';
import { ShadowReplacement } from '../../src/ingest/shadow-replacement.js';
import type { Replacement } from '../../src/source/destination.js';
import type { FeedObserver } from '../../src/source/synapse/feed-observer.js';
import { SynapseFeed, type FeedOptions } from '../../src/source/synapse/feed.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { MemoryStore } from '../../src/store/memory-store.js';
import type { Store } from '../../src/store/store.js';
import type { PostgresServer } from '../servers/postgres-server.js';

export interface FedOptions extends Partial<FeedOptions> {
  readonly shards?: number;
  /** Folder of a store; without it nothing outlives the process. */
  readonly directory?: string;
  readonly clock?: Clock;
  /** Copies replace in parts of one step; while it is broken, their last commit fails. */
  readonly replacedInParts?: { readonly isBroken: boolean };
}

/** The real time, and as much more as a test likes. */
export class SteppedClock implements Clock {
  aheadMs = 0;
  /** As if somebody had set the clock of the machine. */
  timeOfDayAheadMs = 0;

  nowMs(): number {
    return Date.now() + this.aheadMs + this.timeOfDayAheadMs;
  }

  monotonicMs(): number {
    return performance.now() + this.aheadMs;
  }
}

/** What the feed told, in order. */
export type Told = {
  readonly [What in keyof FeedObserver]: [What, ...Parameters<FeedObserver[What]>];
}[keyof FeedObserver];

export class FedEngine {
  readonly engine: Engine;
  readonly feed: SynapseFeed;
  readonly destination: IngestDestination;
  readonly told: Told[];
  readonly #store: Store;

  private constructor(
    engine: Engine,
    feed: SynapseFeed,
    destination: IngestDestination,
    store: Store,
    told: Told[],
  ) {
    this.engine = engine;
    this.feed = feed;
    this.destination = destination;
    this.#store = store;
    this.told = told;
  }

  /** Begins to feed; it ends with the test. */
  static async open(
    { host, port, superuser: user, password }: PostgresServer,
    database: string,
    { shards = 0, directory, clock = systemClock, replacedInParts, ...options }: FedOptions = {},
  ): Promise<FedEngine> {
    const store = directory === undefined ? new MemoryStore() : await LmdbStore.open({ directory });
    const engine = await loadEngine(store, { shards, onProgress: () => undefined });
    const ingest = new Ingest(engine, store);
    const destination =
      replacedInParts === undefined
        ? new IngestDestination('synapse', { engine, ingest, store })
        : new ReplacedInParts({ engine, ingest, store }, replacedInParts);
    const told: Told[] = [];
    const feed = new SynapseFeed(
      {
        postgres: { host, port, user, password, database },
        serverName: 'example.org',
        pollIntervalMs: 5,
        // What repairs would hide what the feed lost.
        reconcileIntervalMs: null,
        sweepIntervalMs: null,
        ...options,
      },
      { destination, observer: observerInto(told), clock },
    );
    feed.start();
    const fed = new FedEngine(engine, feed, destination, store, told);
    onTestFinished(() => fed.close());
    return fed;
  }

  /** May be called twice. */
  async close(): Promise<void> {
    await this.feed.close();
    await this.engine.shards.close();
    await this.#store.close();
  }

  /** Who is joined where, as `room user`, sorted. */
  async memberships(): Promise<string[]> {
    const roomIds = [...(await this.destination.sumRooms()).roomIds()];
    const pairs: string[] = [];
    while (roomIds.length > 0) {
      for (const [roomId, userIds] of await this.destination.membersOf(roomIds.splice(0, 256)))
        pairs.push(...userIds.map((userId) => `${roomId} ${userId}`));
    }
    return pairs.sort();
  }
}

class ReplacedInParts extends IngestDestination {
  readonly #engine: Engine;
  readonly #ingest: Ingest;
  readonly #broken: { readonly isBroken: boolean };

  constructor(
    parts: { engine: Engine; ingest: Ingest; store: Store },
    broken: { readonly isBroken: boolean },
  ) {
    super('synapse', parts);
    this.#engine = parts.engine;
    this.#ingest = parts.ingest;
    this.#broken = broken;
  }

  override async replace(): Promise<Replacement> {
    const ingest = this.#ingest;
    const broken = this.#broken;
    const applyNumbered: Ingest['applyNumbered'] = async (changes, cursor) => {
      const isLast = cursor !== undefined && Buffer.from(cursor.value).includes('"isWhole":true');
      if (isLast && broken.isBroken) throw new Error('the disk is full');
      return ingest.applyNumbered(changes, cursor);
    };
    return ShadowReplacement.begin(
      'synapse',
      this.#engine,
      Object.assign(Object.create(ingest) as Ingest, { applyNumbered }),
      {
        changesAtOnceMax: 1,
        changesPerReplacementCommit: 1,
        joinsPerNamesCommit: 1_000_000,
      },
    );
  }
}

function observerInto(told: Told[]): FeedObserver {
  const tell =
    <What extends keyof FeedObserver>(what: What) =>
    (...words: Parameters<FeedObserver[What]>): void => {
      told.push([what, ...words] as unknown as Told);
    };
  return {
    copying: tell('copying'),
    copied: tell('copied'),
    following: tell('following'),
    failed: tell('failed'),
    compared: tell('compared'),
    notTheSame: tell('notTheSame'),
    gapsRetired: tell('gapsRetired'),
    repaired: tell('repaired'),
    swept: tell('swept'),
    advice: tell('advice'),
  };
}
