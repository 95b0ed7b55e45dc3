/**
 * What the tests of the feed have in common: a homeserver with two users who share more than two pages of rooms, further users
 * who do all sorts of things, and the question whether a sidecar says the same as Synapse. One for a test file.
 *
 * Invariant: every sidecar ends with the test that opened it; a failure prints the seed and the end of the sidecar's log.
 * Cost: 10 s to open; 5 s for each `expectAgreement`.
 */
import { expect, onTestFinished, vi } from 'vitest';
import { seededRandom, type Random } from '../model/random.js';
import { drawPairs, expectSameAnswers, expectSameMemberships } from './agreement.js';
import { register, type MatrixClient } from './matrix-client.js';
import { Sidecar, type SidecarOptions } from './sidecar.js';
import { TestHomeserver, type TestHomeserverOptions } from './test-homeserver.js';
import { Workload } from './workload.js';

/** For what happens soon, but at a moment that nobody tells. */
export const waiting = { timeout: 10_000, interval: 20 };

/** More than two pages. */
const fillerRooms = 230;
const pairsAsked = 300;
/** What happens before the first sidecar comes. */
const operationsBefore = 80;
const remoteId = '@carol:elsewhere.example';

/** One that ends with the test, and tells what it logged when that fails. */
export async function openSidecar(
  homeserver: TestHomeserver,
  seed: number,
  options?: SidecarOptions,
): Promise<Sidecar> {
  const sidecar = await Sidecar.open(homeserver, options);
  onTestFinished(async ({ task }) => {
    if (task.result?.state === 'fail') console.log(`seed ${seed}\n${sidecar.lastWords()}`);
    await sidecar.close();
  });
  return sidecar;
}

export class FeedTest {
  readonly homeserver: TestHomeserver;
  readonly workload: Workload;
  readonly alice: MatrixClient;
  readonly bob: MatrixClient;
  /** Of no member of this server, but joined where alice is. */
  readonly remoteId = remoteId;
  readonly fillerRooms = fillerRooms;
  readonly random: Random;
  readonly #seed: number;

  private constructor(
    homeserver: TestHomeserver,
    workload: Workload,
    alice: MatrixClient,
    bob: MatrixClient,
    seed: number,
  ) {
    this.homeserver = homeserver;
    this.workload = workload;
    this.alice = alice;
    this.bob = bob;
    this.random = seededRandom(seed);
    this.#seed = seed;
  }

  static async open(seed: number, options: TestHomeserverOptions): Promise<FeedTest> {
    const homeserver = await TestHomeserver.open(options);
    try {
      const { serverName } = homeserver.synapse;
      await homeserver.fill('filler', fillerRooms, [`@alice:${serverName}`, `@bob:${serverName}`, remoteId]);
      const alice = await register(homeserver.synapse, 'alice');
      const bob = await register(homeserver.synapse, 'bob');
      const workload = await Workload.open(homeserver, { seed, users: 16, rooms: 10 });
      await workload.run(operationsBefore);
      return new FeedTest(homeserver, workload, alice, bob, seed);
    } catch (error) {
      await homeserver.close();
      throw error;
    }
  }

  async close(): Promise<void> {
    await this.homeserver.close();
  }

  async openSidecar(options?: SidecarOptions): Promise<Sidecar> {
    return openSidecar(this.homeserver, this.#seed, options);
  }

  /** All memberships, and the answers about many pairs. To be called when nobody changes anything any more. */
  async expectAgreement(sidecar: Sidecar): Promise<void> {
    const { alice, bob, workload, homeserver } = this;
    expect(await expectSameMemberships(homeserver, sidecar)).toBeGreaterThan(3 * fillerRooms);
    const askers = [...workload.clients, alice, bob];
    const unknown = [`@nobody:${homeserver.synapse.serverName}`, '@x:y.example'];
    const others = [...workload.userIds, alice.userId, bob.userId, remoteId, ...unknown];
    const pairs = drawPairs(askers, others, pairsAsked, this.random);
    expect(await expectSameAnswers(homeserver, sidecar, pairs)).toBeGreaterThan(pairsAsked / 30);
  }

  /** The rooms of alice and bob, of this sidecar. */
  async sharedRooms(sidecar: Sidecar): Promise<string[]> {
    return (await this.alice.at(sidecar.url).mutualRooms(this.bob.userId)).rooms;
  }

  async waitUntilShared(sidecar: Sidecar, roomId: string): Promise<void> {
    await vi.waitFor(async () => expect(await this.sharedRooms(sidecar)).toContain(roomId), waiting);
  }

  /** Bob's join of this room has its ids, and does not get on, until `release`; that returns when he has joined. */
  async stalledJoin(roomId: string): Promise<() => Promise<void>> {
    const before = await this.homeserver.stalledCount();
    const { release } = await this.homeserver.stall(roomId);
    const joining = this.bob.join(roomId);
    // Who waits for it hears of a failure; until then it must not end the process.
    joining.catch(() => {});
    await vi.waitFor(
      async () => expect(await this.homeserver.stalledCount()).toBeGreaterThan(before),
      waiting,
    );
    return async () => {
      await release();
      await joining;
    };
  }
}
