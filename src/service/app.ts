/**
 * With index-lifecycle.ts the only place that constructs: index, authenticator, HTTP, in this order, and closes in the reverse
 * one. Everything else is given what it needs. HTTP listens before the index is loaded, and says until then how far it is.
 */
import type { AddressInfo } from 'node:net';
import type { FastifyBaseLogger, FastifyInstance } from 'fastify';
import type { CacheOptions } from '../auth/cached-authenticator.js';
import { openAuthenticator } from '../auth/open-authenticator.js';
import { Homeserver } from '../auth/homeserver.js';
import { tokenHash } from '../auth/token-hash.js';
import type { Change } from '../base/change.js';
import { httpUrl } from '../base/http-url.js';
import type { Config } from '../config/load.js';
import type { Applied } from '../engine/questions.js';
import { addMemberships } from '../http/memberships.js';
import { addMutualRooms } from '../http/mutual-rooms.js';
import { addHealth, addMetrics } from '../http/operations.js';
import { RateLimit } from '../http/rate-limit.js';
import type { Starting } from '../http/backend.js';
import { createServer } from '../http/server.js';
import { addVersions } from '../http/versions.js';
import { Metrics } from '../metrics/metrics.js';
import { configuredSource } from '../source/sources.js';
import { IndexLifecycle } from './index-lifecycle.js';
import { StartingBackend } from './starting-backend.js';

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
  const servers: FastifyInstance[] = [];
  /** What to close after them, last opened first. */
  const opened: { close(): Promise<unknown> }[] = [];
  const close = async (): Promise<void> => {
    const results: PromiseSettledResult<unknown>[] = [];
    const closeAll = async (those: readonly { close(): Promise<unknown> }[]): Promise<void> =>
      void results.push(...(await Promise.allSettled(those.map(async (each) => each.close()))));
    // Servers together: each may take its ten seconds for what is in flight.
    await closeAll(servers);
    for (const each of opened.splice(0).reverse()) await closeAll([each]);
    // One that failed to close keeps none of the others open.
    for (const result of results) if (result.status === 'rejected') throw result.reason;
  };
  try {
    const service = new StartingBackend();
    const source = configuredSource(config.source);
    const index = new IndexLifecycle(config, source, service, { metrics, logger, onStarting });
    opened.push(index);

    const homeserver = config.homeserver === undefined ? undefined : new Homeserver(config.homeserver.url);
    const authenticator = openAuthenticator({
      staticTokens: config.auth.staticTokens,
      homeserver,
      cache: cacheOptions(config),
    });
    opened.push(authenticator);

    const newServer = (): FastifyInstance => {
      const made = createServer({ logger, metrics });
      servers.push(made);
      return made;
    };
    const server = newServer();
    addMutualRooms(server, {
      service,
      authenticator,
      rateLimit:
        config.rateLimit === null
          ? undefined
          : new RateLimit(config.rateLimit.perSecond, config.rateLimit.burst),
      pageSize: config.pageSize,
    });
    const isOurs = ourTokens(config);
    addVersions(server, {
      askHomeserver:
        homeserver === undefined
          ? undefined
          : (credentials) => homeserver.versions(isOurs(credentials?.accessToken) ? undefined : credentials),
      advertiseV119: config.versions.advertiseV119,
    });
    addHealth(server, service, source?.staleAfterMs ?? null);
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
      const own = newServer();
      addMetrics(own, metrics);
      metricsUrl = await listen(own, config.metrics.listen);
    }
    const url = await listen(server, config.listen);
    const ready = index.open();
    // Whoever awaits it hears of it.
    ready.catch(() => undefined);
    // Without a store there is nothing to wait for.
    if (config.dataDir === null && source === undefined) await ready;
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

/** A token of the static table and the service token are no business of the homeserver's. */
function ourTokens({ auth, serviceToken }: Config): (token: string | undefined) => boolean {
  const tokens = [...auth.staticTokens.keys(), ...(serviceToken === undefined ? [] : [serviceToken])];
  const hashes = new Set(tokens.map(tokenHash));
  return (token) => token !== undefined && hashes.has(tokenHash(token));
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
  // Said before the index is there, and before what may be wrong with the store.
  const listenTextResolver = (address: string): string =>
    `listening on ${address}; what needs the index gets 503 until it is loaded`;
  await server.listen({ host, port, listenTextResolver });
  const address = server.server.address() as AddressInfo;
  return httpUrl(host, address.port);
}
