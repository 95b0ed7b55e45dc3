/**
 * How soon after its commit is a change in our answers? Commits by SQL, since only who commits knows the moment: from PostgreSQL's
 * answer to COMMIT until an answer of `serve` shows it. At rest, and while other rooms change and others ask; woken by the
 * timer alone (50 ms), and by Redis too. Beside it the limit: the same question asked of PostgreSQL itself.
 *
 * Cost: three minutes for 400 changes of each kind.
 */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientConfig } from 'pg';
import { PostgresServer } from '../../test/servers/postgres-server.js';
import { RedisServer } from '../../test/servers/redis-server.js';
import { Population } from '../data/population.js';
import { seededRandom, type Random } from '../harness.js';
import { Latencies, type Distribution } from '../scale/latencies.js';
import { Asker, until } from './asker.js';
import type { LoadDone, LoadOrder } from './background-load.js';
import { databaseSettings } from './bootstrap.js';
import { fillMemberships, fillStream, makeTables } from './filled-database.js';
import { ServedFeed, serverName } from './served-feed.js';
import { StateWriter } from './state-writer.js';
import { WakeUp } from './wake-up.js';

const database = 'bench';
const alice = `@alice:${serverName}`;
const bob = `@bob:${serverName}`;
const token = 'alice-token';

/** That two probes change in turn: fewer than a page. */
const probeRooms = 32;

/** Between two changes, so that they fall anywhere between two polls. */
const pauseMsMax = 100;

const changesPerSecond = 300;
const questionsPerSecond = 300;

/** How long a load runs before anything is measured. */
const warmUpMs = 2_000;

export interface SimulatedLagOrder {
  readonly users: number;
  readonly rooms: number;
  /** Of each kind. */
  readonly changes: number;
}

export interface Lag {
  readonly name: string;
  readonly isLimit: boolean;
  readonly load: LoadDone | null;
  /** In microseconds. */
  readonly lag: Distribution;
}

/** @throws NotInstalled */
export async function measureSimulatedLag(order: SimulatedLagOrder): Promise<Lag[]> {
  const postgres = await PostgresServer.open(databaseSettings);
  try {
    const redis = await RedisServer.open();
    try {
      return await measureWith(postgres, redis, order);
    } finally {
      await redis.close();
    }
  } finally {
    await postgres.close();
  }
}

async function measureWith(
  postgres: PostgresServer,
  redis: RedisServer,
  { users, rooms, changes }: SimulatedLagOrder,
): Promise<Lag[]> {
  const population = new Population({ users, rooms });
  await postgres.query('postgres', `CREATE DATABASE ${database}`);
  const client = await postgres.connect(database);
  await makeTables(client);
  await fillMemberships(client, population);
  await fillStream(client);
  const { host, port, superuser: user, password } = postgres;
  const place = { host, port, user, password, database };
  const lags: Lag[] = [];
  try {
    for (const isWoken of [false, true]) {
      const how = isWoken ? 'woken by Redis too' : 'every 50 ms';
      const feed = await ServedFeed.make({
        ...{ postgres, database },
        redis: isWoken ? redis : undefined,
        tokens: { [token]: alice },
      });
      try {
        await feed.start();
        const wakeUp = isWoken ? await WakeUp.open(redis) : undefined;
        const probe = await Probe.open(place, wakeUp);
        const limit = async (): Promise<Distribution> =>
          probe.lags(Math.ceil(changes / 4), async (roomId, isThere) =>
            until(async () => (await shared(client, roomId)) === isThere),
          );
        const asker = new Asker(feed.url, token, bob);
        const ours = async (): Promise<Distribution> =>
          probe.lags(changes, (roomId, isThere) => asker.seen(roomId, isThere));
        // Compiles what is measured.
        await probe.lags(10, (roomId, isThere) => asker.seen(roomId, isThere));
        if (!isWoken)
          lags.push({ name: 'PostgreSQL asked, at rest', isLimit: true, load: null, lag: await limit() });
        lags.push({ name: `${how}, at rest`, isLimit: false, load: null, lag: await ours() });
        const load = await Load.start(population, place, isWoken ? redis : undefined, feed.url);
        const limitUnderLoad = isWoken ? undefined : await limit();
        const lag = await ours();
        const done = await load.stop();
        if (limitUnderLoad !== undefined)
          lags.push({ name: 'PostgreSQL asked, under load', isLimit: true, load: done, lag: limitUnderLoad });
        lags.push({ name: `${how}, under load`, isLimit: false, load: done, lag });
        await asker.close();
        await probe.close();
        wakeUp?.close();
      } finally {
        await feed.close();
      }
    }
  } finally {
    await client.end();
  }
  return lags;
}

async function shared(
  client: { query: (sql: string, values: string[]) => Promise<{ rowCount: number | null }> },
  roomId: string,
): Promise<boolean> {
  const { rowCount } = await client.query(
    `SELECT room_id FROM current_state_events AS a JOIN current_state_events AS b USING (room_id)
     WHERE a.type = 'm.room.member' AND a.membership = 'join' AND a.state_key = $1
       AND b.type = 'm.room.member' AND b.membership = 'join' AND b.state_key = $2 AND room_id = $3`,
    [alice, bob, roomId],
  );
  return rowCount === 1;
}

/** Bob comes and goes where alice is. */
class Probe {
  readonly #writer: StateWriter;
  readonly #wakeUp: WakeUp | undefined;
  readonly #random: Random = seededRandom(3);
  readonly #isThere = new Set<string>();
  readonly #roomIds: readonly string[];

  static async open(place: ClientConfig, wakeUp: WakeUp | undefined): Promise<Probe> {
    const name = wakeUp === undefined ? 'timer' : 'redis';
    const probe = new Probe(await StateWriter.open(place, name), wakeUp, name);
    for (const roomId of probe.#roomIds) await probe.#writer.write(roomId, alice, true);
    return probe;
  }

  private constructor(writer: StateWriter, wakeUp: WakeUp | undefined, name: string) {
    this.#writer = writer;
    this.#wakeUp = wakeUp;
    this.#roomIds = Array.from(
      { length: probeRooms },
      (_, room) => `!probe${name}${100 + room}:${serverName}`,
    );
  }

  async lags(
    count: number,
    seen: (roomId: string, isThere: boolean) => Promise<number>,
  ): Promise<Distribution> {
    const latencies = new Latencies(count);
    for (let change = 0; change < count; change += 1) {
      await sleep(this.#random(pauseMsMax));
      const roomId = this.#roomIds[this.#random(probeRooms)];
      const isThere = !this.#isThere.delete(roomId);
      if (isThere) this.#isThere.add(roomId);
      await this.#writer.write(roomId, bob, isThere);
      const committedAt = performance.now();
      const told = this.#wakeUp?.changed(roomId);
      latencies.add((await seen(roomId, isThere)) - committedAt);
      await told;
    }
    return latencies.distribution();
  }

  async close(): Promise<void> {
    await this.#writer.close();
  }
}

class Load {
  readonly #child: ChildProcess;
  readonly #ended: Promise<never>;

  static async start(
    population: Population,
    place: ClientConfig,
    redis: RedisServer | undefined,
    url: string,
  ): Promise<Load> {
    const child = fork(new URL('./background-load.ts', import.meta.url), {
      execArgv: ['--import', 'tsx'],
    });
    const names = (count: number, end: number, nameOf: (number: number) => string): string[] =>
      Array.from({ length: count }, (_, index) => nameOf(Math.floor((index * end) / count)));
    const order: LoadOrder = {
      ...{ place, url, token, changesPerSecond, questionsPerSecond },
      redis: redis === undefined ? null : { port: redis.port, password: redis.password },
      userIds: names(2_000, population.users, (user) => population.userId(user)),
      roomIds: names(500, population.rooms, (room) => population.roomId(room)),
    };
    const load = new Load(child);
    await load.#answer(order);
    await sleep(warmUpMs);
    return load;
  }

  private constructor(child: ChildProcess) {
    this.#child = child;
    this.#ended = once(child, 'exit').then(([code]) => {
      throw new Error(`the load ended with ${String(code)}`);
    });
    this.#ended.catch(() => {});
  }

  async stop(): Promise<LoadDone> {
    return (await this.#answer('stop')) as LoadDone;
  }

  /** @throws when the child has ended */
  async #answer(message: LoadOrder | 'stop'): Promise<unknown> {
    const answered = once(this.#child, 'message');
    this.#child.send(message);
    const [answer] = (await Promise.race([answered, this.#ended])) as [unknown];
    return answer;
  }
}
