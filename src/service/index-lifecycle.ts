/**
 * The index as a server has it: store, engine and ingest, opened while the server listens already, closed after it.
 *
 * The store is read once in a process of its own, which a damaged file may end; then it is loaded. When much of it is
 * joined to nothing any more, it is compacted and loaded again.
 */
import type { FastifyBaseLogger } from 'fastify';
import type { Config } from '../config/load.js';
import { systemClock } from '../base/clock.js';
import { unusedNamesMin } from '../base/limits.js';
import { loadEngine, statsOf, type LoadedEngine } from '../engine/engine.js';
import { PageTokens } from '../engine/page-token.js';
import type { Starting } from '../http/backend.js';
import { IngestDestination } from '../ingest/ingest-destination.js';
import { Ingest, type IngestObserver } from '../ingest/ingest.js';
import type { Gauges, Metrics } from '../metrics/metrics.js';
import { compactStore } from '../store/compact.js';
import type { Source } from '../source/source.js';
import { sourceMetrics } from '../source/source-metrics.js';
import type { ConfiguredSource } from '../source/sources.js';
import { examineDirectory } from '../store/data-directory.js';
import { probeStore } from '../store/inspect.js';
import { storeFormat } from '../store/layout.js';
import { LmdbStore } from '../store/lmdb-store.js';
import { MemoryStore } from '../store/memory-store.js';
import type { Store } from '../store/store.js';
import type { StartingBackend } from './starting-backend.js';

export interface IndexLifecycleDeps {
  readonly metrics: Metrics;
  readonly logger: FastifyBaseLogger;
  readonly onStarting: (starting: Starting) => void;
}

/** What is open together. */
interface Loaded {
  readonly store: Store;
  readonly engine: LoadedEngine;
}

export class IndexLifecycle {
  readonly #config: Config;
  readonly #configuredSource: ConfiguredSource | undefined;
  readonly #service: StartingBackend;
  readonly #deps: IndexLifecycleDeps;
  #loaded: Loaded | undefined;
  #source: Source | undefined;
  #isClosing = false;
  #opening: Promise<void> = Promise.resolve();

  constructor(
    config: Config,
    source: ConfiguredSource | undefined,
    service: StartingBackend,
    deps: IndexLifecycleDeps,
  ) {
    this.#config = config;
    this.#configuredSource = source;
    this.#service = service;
    this.#deps = deps;
  }

  /** @throws PublicError that says what is wrong with the store */
  async open(): Promise<void> {
    this.#opening = this.#open();
    await this.#opening;
  }

  async close(): Promise<void> {
    this.#isClosing = true;
    await this.#source?.close();
    // None is made from here on.
    await this.#opening.catch(() => undefined);
    await this.#closeLoaded();
  }

  async #open(): Promise<void> {
    const { metrics } = this.#deps;
    const { store, engine } = await this.#load();
    metrics.watch(gaugesOf(engine), store);
    const ingest = new Ingest(engine, store, { observer: this.#observer(store) });
    await this.#openSource({ store, engine }, ingest);
    if (this.#isClosing) return;
    const tokens = new PageTokens({ identity: store.identity });
    this.#service.open({ engine, ingest, tokens, store });
  }

  /** Begins to feed the index. Resolves when it may answer. */
  async #openSource({ store, engine }: Loaded, ingest: Ingest): Promise<void> {
    const configured = this.#configuredSource;
    if (configured === undefined || this.#isClosing) return;
    const { metrics, logger } = this.#deps;
    const source = configured.open({
      destination: new IngestDestination(configured.name, { engine, ingest, store }),
      log: logger,
      clock: systemClock,
      onProgress: (progress) => {
        if (this.#service.starting !== undefined) this.#tell(progress);
      },
    });
    this.#source = source;
    this.#service.source = source;
    metrics.watchMetrics(sourceMetrics(source));
    source.start();
    await source.ready;
  }

  async #load(): Promise<Loaded> {
    const { dataDir } = this.#config;
    if (dataDir === null) return this.#loadFrom(new MemoryStore());
    const { path, holds } = examineDirectory(dataDir);
    if (holds === 'store') {
      this.#tell({ phase: 'checked', share: 0 });
      await probeStore(path);
    }
    const loaded = await this.#loadFrom(await this.#openStore(dataDir));
    if (!this.#isWorthCompacting(loaded)) return loaded;
    await this.#closeLoaded();
    await this.#compact(dataDir);
    return this.#loadFrom(await this.#openStore(dataDir));
  }

  async #loadFrom(store: Store): Promise<Loaded> {
    const { metrics, logger } = this.#deps;
    try {
      const engine = await loadEngine(store, {
        shards: this.#config.shards,
        observer: metrics,
        onProgress: (done, total) => this.#tell({ phase: 'loaded', share: done / Math.max(1, total) }),
        onShardFailure: (shard, reason) => {
          metrics.shardFailed();
          const whatNow =
            store.path === undefined
              ? 'restart and import again; until then all is 503'
              : 'it is being loaded again from the store; until then all is 503';
          logger.fatal({ shard, reason }, `a shard lost its memberships: ${whatNow}`);
        },
        onShardReload: (shard) => {
          metrics.shardReloaded();
          logger.warn({ shard }, 'the shard has been loaded again');
        },
      });
      this.#loaded = { store, engine };
      return this.#loaded;
    } catch (error) {
      await store.close();
      throw error;
    }
  }

  async #openStore(directory: string): Promise<Store> {
    const store = await LmdbStore.open({ directory, limits: this.#config.store });
    if (store.carriedFrom !== undefined) {
      this.#deps.logger.warn(
        { format: storeFormat, before: store.carriedFrom },
        'the store was carried over to the format of this version: earlier versions do not open it any more',
      );
    }
    if (store.failure !== undefined)
      this.#deps.logger.error({ reason: store.failure }, 'changes will be refused; questions are answered');
    return store;
  }

  #isWorthCompacting({ store, engine }: Loaded): boolean {
    const { compactAtWaste } = this.#config.store;
    if (compactAtWaste === null || store.failure !== undefined) return false;
    const { unused, known } = engine;
    return unused >= unusedNamesMin && unused >= known * compactAtWaste;
  }

  async #compact(directory: string): Promise<void> {
    const { logger } = this.#deps;
    try {
      const { before, after } = await compactStore({
        directory,
        onProgress: (done, total) => this.#tell({ phase: 'compacted', share: done / Math.max(1, total) }),
      });
      logger.info(
        { before, after },
        'the store was compacted: many of its IDs were joined to nothing any more',
      );
    } catch (error) {
      logger.error({ err: error }, 'the store could not be compacted, and is as it was');
    }
  }

  async #closeLoaded(): Promise<void> {
    const loaded = this.#loaded;
    this.#loaded = undefined;
    await loaded?.engine.shards.close();
    await loaded?.store.close();
  }

  /** The log says once that changes are refused, and once that they are not any more. */
  #observer(store: Store): IngestObserver {
    const { metrics, logger } = this.#deps;
    let isRefusing = false;
    return {
      committed: (changes, seconds) => {
        // Memory alone commits nothing.
        if (store.path !== undefined) metrics.committed(changes, seconds);
        if (isRefusing) logger.warn('the store takes changes again');
        isRefusing = false;
      },
      commitFailed: (error) => {
        metrics.commitFailed();
        if (!isRefusing) logger.error({ err: error }, 'the store takes no changes; questions are answered');
        isRefusing = true;
      },
    };
  }

  #tell(starting: Starting): void {
    this.#service.tell(starting);
    // What it waits for is in the log already, once.
    if (starting.waitsFor === undefined) this.#deps.onStarting(starting);
  }
}

/** What metrics read of the engine when they are scraped. */
function gaugesOf(engine: LoadedEngine): Gauges {
  const { shards } = engine;
  return {
    stats: () => statsOf(engine),
    get waiting() {
      return shards.fanOuts.map((fanOut) => fanOut.waiting);
    },
    get failure() {
      return shards.failure;
    },
  };
}
