/**
 * Listens to what Synapse's workers tell each other through Redis, and wakes the feed when there may be something new. What it hears is
 * never believed: the feed asks the database. The only import of ioredis.
 *
 * Access tokens pass on this channel (rows of the caches stream). So a line is only compared with a few texts, and never kept, logged
 * or handed on: all that leaves this file is one of two calls without arguments.
 */
import { Redis } from 'ioredis';
import { messageOf } from '../../base/errors.js';

export interface RedisOptions {
  readonly host: string;
  readonly port: number;
  readonly user?: string | undefined;
  readonly password?: string | undefined;
}

export interface RedisListener {
  /** Some room's state was changed. */
  onChange(): void;
  /** Some room may have been purged. */
  onPurge(): void;
  /** It cannot be listened to; said once for each reason. It is tried again. */
  onFault(message: string): void;
}

const retryMsMax = 5_000;
const answerMsMax = 5_000;

export class RedisWake {
  readonly #redis: Redis;
  #isClosed = false;
  /** For an attempt on the same connection. */
  #again: NodeJS.Timeout | undefined;
  /** Whether it listens now. */
  isUp = false;

  constructor(options: RedisOptions, serverName: string, listener: RedisListener) {
    this.#redis = new Redis({
      ...connectionOf(options),
      maxRetriesPerRequest: null,
      // So that a peer that vanished is noticed.
      keepAlive: 10_000,
      // A subscription belongs to its connection: kept for the next one, they would gather while Redis is away.
      autoResubscribe: false,
      autoResendUnfulfilledCommands: false,
      enableOfflineQueue: false,
      retryStrategy: (times) => Math.min(times * 100, retryMsMax),
    });
    const said = new Set<string>();
    const fault = (error: Error): void => {
      if (said.has(error.message)) return;
      said.add(error.message);
      listener.onFault(error.message);
    };
    /** Whether it is connected, and nothing was heard of it since. */
    let isSilent = false;
    this.#redis.on('connect', () => (isSilent = true));
    this.#redis.on('error', (error: Error) => {
      isSilent = false;
      fault(error);
    });
    this.#redis.on('message', (_channel: string, line: string) => {
      if (line.startsWith('RDATA events ')) {
        if (line.includes('["state')) listener.onChange();
      } else if (line.startsWith('RDATA un_partial_stated_room ')) listener.onChange();
      else if (line.startsWith('RDATA caches ')) {
        // Comes as soon as the state is changed; the line of the events stream may come a little later.
        if (line.includes('["cs_cache_fake"')) listener.onChange();
        if (line.includes('["dr_cache_fake"')) listener.onPurge();
      }
    });
    const subscribe = (): void => {
      this.#redis.subscribe(serverName).then(
        () => {
          this.isUp = true;
          said.clear();
        },
        (error: unknown) => {
          // Where the connection was closed, that event says why.
          if (this.#isClosed || this.#redis.status !== 'ready') return;
          fault(error instanceof Error ? error : new Error(String(error)));
          // The account may not subscribe; it may be allowed to later.
          this.#again = setTimeout(subscribe, retryMsMax);
        },
      );
    };
    // Again on each connection, also when it was refused on the one before.
    this.#redis.on('ready', () => {
      isSilent = false;
      subscribe();
    });
    this.#redis.on('close', () => {
      clearTimeout(this.#again);
      if (isSilent && !this.isUp && !this.#isClosed)
        fault(new Error('the connection was closed before anything was answered'));
      isSilent = false;
      this.isUp = false;
    });
  }

  close(): void {
    this.#isClosed = true;
    clearTimeout(this.#again);
    this.#redis.disconnect();
  }
}

/** Why it cannot be listened to, after one try; undefined when it can. */
export async function redisFault(options: RedisOptions, serverName: string): Promise<string | undefined> {
  const redis = new Redis({
    ...connectionOf(options),
    lazyConnect: true,
    connectTimeout: answerMsMax,
    commandTimeout: answerMsMax,
    maxRetriesPerRequest: 0,
    retryStrategy: () => null,
  });
  // A failure comes here, and to the call that it ends.
  let last: Error | undefined;
  redis.on('error', (error: Error) => (last = error));
  try {
    await redis.connect();
    await redis.subscribe(serverName);
    return undefined;
  } catch (error) {
    return messageOf(last ?? error);
  } finally {
    redis.disconnect();
  }
}

function connectionOf({ host, port, user, password }: RedisOptions) {
  return {
    host,
    port,
    ...(user === undefined ? {} : { username: user }),
    ...(password === undefined ? {} : { password }),
    // It asks INFO, and an account may be allowed nothing but SUBSCRIBE.
    enableReadyCheck: false,
  };
}
