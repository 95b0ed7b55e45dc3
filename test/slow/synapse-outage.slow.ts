/**
 * Does the feed find its way back when PostgreSQL is restarted, or crashes, in the middle of everything? With a Synapse of one
 * process, which writes the events itself: one with workers waits five seconds in most requests after such an outage
 * ("Timed out waiting for repl stream"), until it is restarted.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { FeedTest, waiting } from '../synapse/feed-test.js';
import { whatIsMissing } from '../synapse/installed-synapse.js';

const operations = Number(process.env.FEED_OPERATIONS ?? 150);
const seed = Number(process.env.FEED_SEED ?? Date.now() % 2 ** 31);

const missing = whatIsMissing();

describe.skipIf(missing !== undefined)(`an outage of the database ${missing ?? ''}`, () => {
  let feed: FeedTest;

  beforeAll(async () => {
    feed = await FeedTest.open(seed, {});
  });

  afterAll(async () => {
    await (feed as FeedTest | undefined)?.close();
  });

  test.each(['stop', 'crash'] as const)('%s and start, twice, under load', async (end) => {
    const { homeserver, workload } = feed;
    const polling = await feed.openSidecar();
    const woken = await feed.openSidecar({ redis: true, pollInterval: '5s' });
    const doneBefore = workload.done;
    await workload.run(operations, async () => {
      for (let round = 0; round < 2; round++) {
        await sleep(500 + feed.random(1_000));
        await homeserver.postgres[end]();
        await sleep(feed.random(500));
        await homeserver.postgres.start();
      }
    });
    expect(workload.done - doneBefore).toBeGreaterThan(operations / 3);
    expect(workload.counts.failed).toBeGreaterThan(0);
    await feed.expectAgreement(polling);
    await feed.expectAgreement(woken);
  });

  test('answers go on from what was known last, and /ready tells', async () => {
    const { homeserver, alice, bob } = feed;
    const sidecar = await feed.openSidecar();
    // Its access token is known by now, so the homeserver is not asked for it.
    const before = await feed.sharedRooms(sidecar);
    await homeserver.postgres.stop();
    try {
      await vi.waitFor(async () => expect((await sidecar.sourceState()).state).toBe('disconnected'), waiting);
      expect(await feed.sharedRooms(sidecar)).toEqual(before);
    } finally {
      await homeserver.postgres.start();
    }
    await vi.waitFor(async () => expect((await sidecar.sourceState()).state).toBe('following'), waiting);
    const roomId = await vi.waitFor(async () => alice.createRoom(), waiting);
    await vi.waitFor(async () => bob.join(roomId), waiting);
    await feed.waitUntilShared(sidecar, roomId);
  });
});
