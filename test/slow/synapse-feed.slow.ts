/**
 * Does the sidecar say what a real Synapse says, whatever happens to either of them? Memberships change through Synapse's API,
 * written by two processes; then every membership is compared with Synapse's tables, and hundreds of answers with those
 * of its own endpoint. A long run is
 * `FEED_OPERATIONS=5000 FEED_SEED=7 npm run test:slow -- test/slow/synapse-feed.slow.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { expectSameMemberships } from '../synapse/agreement.js';
import { FeedTest, waiting } from '../synapse/feed-test.js';
import { whatIsMissing } from '../synapse/installed-synapse.js';
import { register } from '../synapse/matrix-client.js';
import type { Sidecar } from '../synapse/sidecar.js';

const operations = Number(process.env.FEED_OPERATIONS ?? 200);
const seed = Number(process.env.FEED_SEED ?? Date.now() % 2 ** 31);

const missing = whatIsMissing();

describe.skipIf(missing !== undefined)(`a feed of a real Synapse ${missing ?? ''}`, () => {
  let feed: FeedTest;

  beforeAll(async () => {
    feed = await FeedTest.open(seed, { eventWriters: ['persist1', 'persist2'] });
  });

  afterAll(async () => {
    await (feed as FeedTest | undefined)?.close();
  });

  test('what was there before is there: all pages, remote users; and doctor is content', async () => {
    const { alice, bob, remoteId, fillerRooms } = feed;
    const sidecar = await feed.openSidecar();
    for (const otherId of [bob.userId, remoteId]) {
      const { rooms, count } = await alice.at(sidecar.url).mutualRooms(otherId);
      expect([rooms.length, count]).toEqual([fillerRooms, fillerRooms]);
    }
    await sidecar.doctor();
    await feed.expectAgreement(sidecar);
  });

  test('many clients at once, followed by polling, and woken by Redis', async () => {
    const polling = await feed.openSidecar();
    const woken = await feed.openSidecar({ redis: true, pollInterval: '5s' });
    await feed.workload.run(operations);
    expect(feed.workload.done).toBeGreaterThan(operations / 2);
    await feed.expectAgreement(polling);
    await feed.expectAgreement(woken);
  });

  test('a room whose persist stalls keeps nobody waiting, and is not lost', async () => {
    const { alice, bob } = feed;
    const sidecar = await feed.openSidecar();
    const [stalled, ...others] = await Promise.all(Array.from({ length: 6 }, async () => alice.createRoom()));
    const before = await feed.sharedRooms(sidecar);
    // Numbers that never come are there too: of refused events, and of purged ones.
    const gapsBefore = (await sidecar.sourceState()).gaps_open;
    const goOn = await feed.stalledJoin(stalled);
    try {
      for (const roomId of others) {
        await bob.join(roomId);
        await feed.waitUntilShared(sidecar, roomId);
      }
      expect(await feed.sharedRooms(sidecar)).toEqual([...before, ...others].sort());
      expect((await sidecar.sourceState()).gaps_open).toBeGreaterThan(gapsBefore);
    } finally {
      await goOn();
    }
    await feed.waitUntilShared(sidecar, stalled);
    await vi.waitFor(
      async () => expect((await sidecar.sourceState()).gaps_open).toBeLessThanOrEqual(gapsBefore),
      waiting,
    );
    await feed.expectAgreement(sidecar);
  });

  test('a sidecar that copies everything while a persist stalls has it too', async () => {
    const stalled = await feed.alice.createRoom();
    const goOn = await feed.stalledJoin(stalled);
    let sidecar: Sidecar;
    try {
      // Numbers above those in flight are taken, so that these are below what is copied.
      await feed.bob.join(await feed.alice.createRoom());
      sidecar = await feed.openSidecar();
      expect(await feed.sharedRooms(sidecar)).not.toContain(stalled);
    } finally {
      await goOn();
    }
    await feed.waitUntilShared(sidecar, stalled);
  });

  test('a sidecar that is killed while a persist stalls has it after its next start', async () => {
    const { alice, bob } = feed;
    const sidecar = await feed.openSidecar();
    const [stalled, other] = [await alice.createRoom(), await alice.createRoom()];
    const goOn = await feed.stalledJoin(stalled);
    try {
      await bob.join(other);
      await feed.waitUntilShared(sidecar, other);
      await sidecar.kill();
      await sidecar.start();
    } finally {
      await goOn();
    }
    await feed.waitUntilShared(sidecar, stalled);
  });

  test('the sidecar is killed in the middle, again and again', async () => {
    const sidecar = await feed.openSidecar();
    await feed.workload.run(operations, async () => {
      for (let round = 0; round < 4; round++) {
        await sleep(200 + feed.random(800));
        await sidecar.kill();
        // Sometimes much happens before the next start.
        await sleep(feed.random(1_000));
        await sidecar.start();
      }
    });
    await feed.expectAgreement(sidecar);
  });

  test('Redis alone wakes the feed, also after it was away', async () => {
    const { alice, bob, homeserver } = feed;
    const rooms = [await alice.createRoom(), await alice.createRoom()];
    // The next poll is far away.
    const sidecar = await feed.openSidecar({ redis: true, pollInterval: '60s' });
    await bob.join(rooms[0]);
    await feed.waitUntilShared(sidecar, rooms[0]);
    await homeserver.redis.stop();
    await homeserver.redis.start();
    // Both connect again, and nobody tells when: what Synapse publishes before that is lost.
    for (let joined = false; !joined;) {
      await bob.leave(rooms[1]).catch(() => {});
      await bob.join(rooms[1]);
      await sleep(500);
      joined = (await feed.sharedRooms(sidecar)).includes(rooms[1]);
    }
  });

  test('a room that vanishes without a trace is swept out', async () => {
    const { homeserver } = feed;
    const [daveId, erinId] = ['dave', 'erin'].map((name) => `@${name}:${homeserver.synapse.serverName}`);
    await homeserver.fill('vanishing', 3, [daveId, erinId]);
    const dave = await register(homeserver.synapse, 'dave');
    const sidecar = await feed.openSidecar();
    expect((await dave.at(sidecar.url).mutualRooms(erinId)).count).toBe(3);
    // What a forced purge does: rows go, and no change is written down.
    await homeserver.sql("DELETE FROM current_state_events WHERE room_id LIKE '!vanishing%2:%'");
    await homeserver.sql("DELETE FROM rooms WHERE room_id LIKE '!vanishing%2:%'");
    await expectSameMemberships(homeserver, sidecar);
    expect((await dave.at(sidecar.url).mutualRooms(erinId)).count).toBe(2);
  });

  test('rows that come and go without a trace are found by comparing rooms', async () => {
    const { homeserver } = feed;
    const [frankId, graceId] = ['frank', 'grace'].map((name) => `@${name}:${homeserver.synapse.serverName}`);
    const sidecar = await feed.openSidecar({ reconcileInterval: '1s' });
    await homeserver.fill('silent', 3, [frankId, graceId]);
    await expectSameMemberships(homeserver, sidecar);
    await homeserver.sql(
      "DELETE FROM current_state_events WHERE state_key = $1 AND room_id LIKE '!silent%2:%'",
      [frankId],
    );
    await expectSameMemberships(homeserver, sidecar);
  });
});
