/**
 * The only place that constructs: store, engine, ingest, authenticator, HTTP, in this order, and closes in the reverse
 * one. Everything else is given what it needs. HTTP listens before the index is loaded, and says until then how far it is.
 */
import type { AddressInfo } from 'node:net';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { CacheOptions } from './auth/cached-authenticator.js';
import { openAuthenticator } from './auth/open-authenticator.js';
import { Homeserver } from './auth/homeserver.js';
import type { Change } from './base/change.js';
import type { Config } from './config/load.js';
import { MembershipEngine } from './engine/engine.js';
import { PageTokens } from './engine/page-token.js';
import type { Applied } from './engine/questions.js';
import { addMemberships } from './http/memberships.js';
import { addMutualRooms } from './http/mutual-rooms.js';
import { addHealth, addMetrics } from './http/operations.js';
import { RateLimit } from './http/rate-limit.js';
import { IndexInService, type Starting } from './http/served-index.js';
import { createServer } from './http/server.js';
import { addVersions } from './http/versions.js';
import { Ingest, type IngestObserver } from './ingest/ingest.js';
import { Metrics } from './metrics/metrics.js';
import { LmdbStore } from './store/lmdb-store.js';
import { MemoryStore } from './store/memory-store.js';
import type { Store } from './store/store.js';

export interface App {
  /** Where it listens. */
  readonly url: string;
  /** Where metrics have a listener of their own. */
  readonly metricsUrl?: string;
  /** Resolves when the index is loaded and questions are answered. @throws what is wrong with the store */
  readonly ready: Promise<void>;
  apply(changes: readonly Change[]): Promise<Applied>;
  /** Finishes what is in flight, then ends the worker threads. */
  close(): Promise<void>;
}

export interface AppOptions {
  readonly logger: FastifyBaseLogger;
  /** Told, again and again, while the index is being opened. */
  readonly onStarting?: (starting: Starting) => void;
}

/** @throws what `listen` throws when the address cannot be had; nothing stays open then */
export async function startApp(
  config: Config,
  { logger, onStarting = () => undefined }: AppOptions,
): Promise<App> {
  const metrics = new Metrics();
  /** What to close, last opened first. */
  const opened: { close(): Promise<unknown> }[] = [];
  const close = async (): Promise<void> => {
    const results: PromiseSettledResult<unknown>[] = [];
    for (const each of opened.splice(0).reverse())
      results.push(...(await Promise.allSettled([each.close()])));
    // One that failed to close keeps none of the others open.
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  };
  try {
    const service = new IndexInService();
    const index = new OpenedIndex(config, service, { metrics, logger, onStarting });
    opened.push(index);

    const homeserver = config.homeserver === undefined ? undefined : new Homeserver(config.homeserver.url);
    const authenticator = openAuthenticator({
      staticTokens: config.auth.staticTokens,
      homeserver,
      cache: cacheOptions(config),
    });
    opened.push(authenticator);

    const server = createServer({ logger, metrics });
    opened.push(server);
    addMutualRooms(server, {
      service,
      authenticator,
      rateLimit:
        config.rateLimit === null
          ? undefined
          : new RateLimit(config.rateLimit.perSecond, config.rateLimit.burst),
      pageSize: config.pageSize,
    });
    addVersions(server, {
      askHomeserver:
        homeserver === undefined
          ? undefined
          : (credentials) =>
              homeserver.versions(isOurs(config, credentials?.accessToken) ? undefined : credentials),
      advertiseV119: config.versions.advertiseV119,
    });
    addHealth(server, service);
    if (config.serviceToken !== undefined) {
      addMemberships(server, {
        service,
        metrics,
        serviceToken: config.serviceToken,
        bodyBytesMax: config.import.bodyBytesMax,
      });
    }

    let metricsUrl: string | undefined;
    if (config.metrics.listen === null) {
      addMetrics(server, metrics);
    } else {
      const own = createServer({ logger, metrics });
      opened.push(own);
      addMetrics(own, metrics);
      metricsUrl = await listen(own, config.metrics.listen);
    }
    const url = await listen(server, config.listen);
    const ready = index.open();
    // Whoever awaits it hears of it.
    ready.catch(() => undefined);
    // Without a store there is nothing to wait for.
    if (config.dataDir === null) await ready;
    return {
      url,
      ready,
      ...(metricsUrl === undefined ? {} : { metricsUrl }),
      apply: (changes) => service.get().ingest.apply(changes),
      close,
    };
  } catch (error) {
    await close();
    throw error;
  }
}

interface OpenedIndexDeps {
  readonly metrics: Metrics;
  readonly logger: FastifyBaseLogger;
  readonly onStarting: (starting: Starting) => void;
}

/** Store, engine and ingest: opened while the server listens already, closed after it. */
class OpenedIndex {
  readonly #config: Config;
  readonly #service: IndexInService;
  readonly #deps: OpenedIndexDeps;
  readonly #opened: { close(): Promise<void> }[] = [];
  #opening: Promise<void> = Promise.resolve();

  constructor(config: Config, service: IndexInService, deps: OpenedIndexDeps) {
    this.#config = config;
    this.#service = service;
    this.#deps = deps;
  }

  /** @throws PublicError that says what is wrong with the store */
  async open(): Promise<void> {
    this.#opening = this.#open();
    await this.#opening;
  }

  async close(): Promise<void> {
    await this.#opening.catch(() => undefined);
    for (const each of this.#opened.splice(0).reverse()) await each.close();
  }

  async #open(): Promise<void> {
    const { metrics, logger } = this.#deps;
    const store = await this.#openStore();
    this.#opened.push(store);
    if (store.failure !== undefined)
      logger.error({ reason: store.failure }, 'changes will be refused; questions are answered');
    const engine = await MembershipEngine.load(store, {
      shards: this.#config.shards,
      observer: metrics,
      onProgress: (done, total) => this.#starting({ phase: 'loaded', share: done / Math.max(1, total) }),
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
    this.#opened.push(engine);
    metrics.watch(engine, store);
    this.#service.open({
      engine,
      ingest: new Ingest(engine, store, { observer: this.#observer() }),
      tokens: new PageTokens({ identity: store.identity }),
    });
  }

  async #openStore(): Promise<Store> {
    const { dataDir, store } = this.#config;
    if (dataDir === null) return new MemoryStore();
    return LmdbStore.open({ directory: dataDir, bytesMax: store.bytesMax });
  }

  /** The log says once that changes are refused, and once that they are not any more. */
  #observer(): IngestObserver {
    const { metrics, logger } = this.#deps;
    let isRefusing = false;
    return {
      committed: (changes, seconds) => {
        metrics.committed(changes, seconds);
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

  #starting(starting: Starting): void {
    this.#service.tell(starting);
    this.#deps.onStarting(starting);
  }
}

/** A token of the static table and the service token are no business of the homeserver's. */
function isOurs({ auth, serviceToken }: Config, token: string | undefined): boolean {
  return token !== undefined && (auth.staticTokens.has(token) || token === serviceToken);
}

function cacheOptions({ homeserver }: Config): CacheOptions | undefined {
  if (homeserver === undefined) return undefined;
  const { ttlSeconds, entries, negativeTtlSeconds } = homeserver.whoamiCache;
  return { ttlMs: ttlSeconds * 1000, entriesMax: entries, negativeTtlMs: negativeTtlSeconds * 1000 };
}

async function listen(
  server: FastifyInstance,
  { host, port }: { host: string; port: number },
): Promise<string> {
  await server.listen({ host, port });
  const address = server.server.address() as AddressInfo;
  return `http://${host.includes(':') ? `[${host}]` : host}:${address.port}`;
}
