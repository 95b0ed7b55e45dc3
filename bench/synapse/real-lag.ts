/**
 * How soon after it is visible in PostgreSQL does a change of a real Synapse, with two event persisters, show in our answers, and in
 * those of Synapse's own main process? A user joins and leaves through the API; PostgreSQL and one of the two are asked
 * meanwhile, a millisecond apart, so a lag is exact to about two.
 *
 * Cost: 20 s, and about 0.3 s for each change.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { Client } from 'pg';
import { register, type MatrixClient } from '../../test/synapse/matrix-client.js';
import { Sidecar } from '../../test/synapse/sidecar.js';
import { SynapseServer } from '../../test/synapse/synapse-server.js';
import { TestHomeserver } from '../../test/synapse/test-homeserver.js';
import { seededRandom } from '../harness.js';
import { Latencies, type Distribution } from '../scale/latencies.js';
import { Asker, until } from './asker.js';

const rooms = 8;
const pauseMsMax = 100;

export interface RealLag {
  readonly name: string;
  readonly isOurs: boolean;
  /** In microseconds; below zero it was seen before the other connection saw it. */
  readonly lag: Distribution;
}

/** @param changes of each kind. @throws NotInstalled */
export async function measureRealLag(changes: number): Promise<RealLag[]> {
  const homeserver = await TestHomeserver.open({ eventWriters: ['persist1', 'persist2'] });
  try {
    const { synapse } = homeserver;
    const alice = await register(synapse, 'alice');
    const bob = await register(synapse, 'bob');
    const probe = await RealProbe.open(homeserver, alice, bob);
    const lags: RealLag[] = [
      { name: "Synapse's own endpoint", isOurs: false, lag: await probe.lags(synapse.url, changes) },
    ];
    for (const redis of [false, true]) {
      const sidecar = await Sidecar.open(homeserver, { redis, sweepInterval: '1m' });
      try {
        const lag = await probe.lags(sidecar.url, changes);
        lags.push({ name: redis ? 'woken by Redis too' : 'every 50 ms', isOurs: true, lag });
      } finally {
        await sidecar.close();
      }
    }
    await probe.close();
    return lags;
  } finally {
    await homeserver.close();
  }
}

class RealProbe {
  readonly #client: Client;
  readonly #alice: MatrixClient;
  readonly #bob: MatrixClient;
  readonly #roomIds: readonly string[];
  readonly #random = seededRandom(9);
  readonly #isThere = new Set<string>();

  /** Until there are rooms of each persister. */
  static async open(homeserver: TestHomeserver, alice: MatrixClient, bob: MatrixClient): Promise<RealProbe> {
    const roomIds: string[] = [];
    const persisters = new Set<string>();
    while (roomIds.length < rooms || persisters.size < 2) {
      const roomId = await alice.createRoom();
      roomIds.push(roomId);
      persisters.add(homeserver.synapse.eventWriterOf(roomId));
    }
    return new RealProbe(await homeserver.postgres.connect(SynapseServer.database), alice, bob, roomIds);
  }

  private constructor(client: Client, alice: MatrixClient, bob: MatrixClient, roomIds: readonly string[]) {
    this.#client = client;
    this.#alice = alice;
    this.#bob = bob;
    this.#roomIds = roomIds;
  }

  async lags(url: string, count: number): Promise<Distribution> {
    const asker = new Asker(url, this.#alice.accessToken, this.#bob.userId);
    const latencies = new Latencies(count);
    for (let change = 0; change < count; change += 1) {
      await sleep(this.#random(pauseMsMax));
      const roomId = this.#roomIds[this.#random(this.#roomIds.length)];
      const isThere = !this.#isThere.delete(roomId);
      if (isThere) this.#isThere.add(roomId);
      const [visibleAt, seenAt] = await Promise.all([
        until(async () => (await this.#isJoined(roomId)) === isThere),
        asker.seen(roomId, isThere),
        isThere ? this.#bob.join(roomId) : this.#bob.leave(roomId),
      ]);
      latencies.add(seenAt - visibleAt);
    }
    await asker.close();
    return latencies.distribution();
  }

  async #isJoined(roomId: string): Promise<boolean> {
    const { rows } = await this.#client.query<{ membership: string }>({
      name: 'is-joined',
      text: `SELECT membership FROM current_state_events WHERE room_id = $1 AND type = 'm.room.member' AND state_key = $2`,
      values: [roomId, this.#bob.userId],
    });
    return rows.at(0)?.membership === 'join';
  }

  async close(): Promise<void> {
    await this.#client.end();
  }
}
