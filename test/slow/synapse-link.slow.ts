/**
 * What does the feed do when the way to the database is cut, falls silent, or comes late? Against tables that the test writes
 * itself, on a real PostgreSQL behind a link that can be cut and muted. Takes a minute, since silence takes as long to notice.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { goesWithoutMs } from '../../src/source/synapse/bounds.js';
import { freePort } from '../servers/free-port.js';
import { NetworkLink } from '../servers/network-link.js';
import { missingPostgres } from '../servers/postgres-programs.js';
import { PostgresServer } from '../servers/postgres-server.js';
import { newFolder } from '../store/kept-store.js';
import { FedEngine, SteppedClock, type FedOptions } from '../synapse/fed-engine.js';
import { SimulatedSynapse } from '../synapse/simulated-synapse.js';

const missing = missingPostgres();
const soon = { timeout: 20_000, interval: 10 };
const later = { timeout: 120_000, interval: 100 };

describe.skipIf(missing !== undefined)(
  `a link to the database${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let postgres: PostgresServer;
    let link: NetworkLink;
    let synapse: SimulatedSynapse;

    beforeAll(async () => {
      postgres = await PostgresServer.open();
      link = await NetworkLink.open(await freePort(), postgres.port);
    });

    afterAll(async () => {
      await (link as NetworkLink | undefined)?.close();
      await (postgres as PostgresServer | undefined)?.close();
    });

    const openSynapse = async (): Promise<void> => {
      link.mend();
      synapse = await SimulatedSynapse.open(postgres);
      onTestFinished(() => synapse.close());
    };
    const open = async (options: FedOptions = {}): Promise<FedEngine> => {
      const { host, superuser: user, password } = postgres;
      const through = { host, port: link.port, user, password, database: synapse.database };
      return FedEngine.open(postgres, synapse.database, { postgres: through, ...options });
    };
    const isFollowing = async (fed: FedEngine): Promise<void> =>
      vi.waitFor(() => expect(fed.feed.status.state).toBe('following'), soon);
    const expectTruth = async (fed: FedEngine): Promise<void> =>
      vi.waitFor(async () => expect(await fed.memberships()).toEqual(await synapse.truth()), soon);
    /** Whether it says that it is ready by now. */
    const isReady = async (fed: FedEngine): Promise<boolean> =>
      Promise.race([fed.feed.ready.then(() => true), sleep(0, false)]);

    test('a start that reaches it after a moment waits, and one that does not goes without', async () => {
      await openSynapse();
      const directory = newFolder();
      await synapse.write({ roomId: '!before:x', members: { '@a:x': 'join' } });
      const first = await open({ directory });
      await isFollowing(first);
      await first.close();
      await synapse.write({ roomId: '!meanwhile:x', members: { '@a:x': 'join' } });

      link.cut();
      const second = await open({ directory });
      await vi.waitFor(() => expect(second.feed.status.failures).toBeGreaterThan(1), soon);
      expect(await isReady(second)).toBe(false);
      link.mend();
      await second.feed.ready;
      expect(await second.memberships()).toEqual(await synapse.truth());
      await second.close();

      link.cut();
      const began = performance.now();
      const third = await open({ directory });
      await third.feed.ready;
      expect(performance.now() - began).toBeGreaterThan(goesWithoutMs);
      expect(await third.memberships()).toEqual(await synapse.truth());
    });

    test('a replacement that is made in part is answered from by nobody', async () => {
      await openSynapse();
      const directory = newFolder();
      for (let room = 0; room < 4; room += 1)
        await synapse.write({ roomId: `!old${room}:x`, members: { '@a:x': 'join', '@b:x': 'join' } });
      const first = await open({ directory });
      await isFollowing(first);
      await first.close();
      await synapse.query('TRUNCATE current_state_events, current_state_delta_stream, events, rooms CASCADE');
      for (let room = 0; room < 4; room += 1)
        await synapse.write({ roomId: `!new${room}:x`, members: { '@a:x': 'join', '@b:x': 'join' } });
      const broken = { isBroken: true };
      const second = await open({ directory, replacedInParts: broken });
      // At about 0, 1, 3, and 7 s.
      await vi.waitFor(() => expect(second.feed.status.failures).toBeGreaterThan(3), soon);
      expect(await isReady(second)).toBe(false);
      broken.isBroken = false;
      await second.feed.ready;
      expect(await second.memberships()).toEqual(await synapse.truth());
    });

    test('the time of day goes on by a day meanwhile: what is in flight is not given up', async () => {
      await openSynapse();
      await synapse.write({ roomId: '!k:x', members: { '@a:x': 'join' } });
      const clock = new SteppedClock();
      const directory = newFolder();
      let fed = await open({ clock, directory });
      await isFollowing(fed);
      const stalled = await synapse.begin({ roomId: '!stalled:x', members: { '@a:x': 'join' } });
      await synapse.write({ roomId: '!k:x', members: { '@b:x': 'join' } });
      await vi.waitFor(() => expect(fed.feed.figures.gapsOpen).toBe(1), soon);
      for (const how of ['cut', 'restart']) {
        clock.timeOfDayAheadMs += 25 * 60 * 60_000;
        if (how === 'cut') {
          link.cut();
          await vi.waitFor(() => expect(fed.feed.status.state).toBe('disconnected'), soon);
          link.mend();
        } else {
          await fed.close();
          fed = await open({ clock, directory });
        }
        await isFollowing(fed);
        // It looks for what is over every second.
        await sleep(1_500);
        expect([how, fed.feed.figures.gapsOpen]).toEqual([how, 1]);
      }
      await synapse.commit(stalled);
      await expectTruth(fed);
    });

    test(
      'it falls silent: the feed goes on by another way, and so does what compares',
      { timeout: 200_000 },
      async () => {
        await openSynapse();
        await synapse.write({ roomId: '!kept:x', members: { '@a:x': 'join' } });
        await synapse.write({ roomId: '!purged:x', members: { '@a:x': 'join' } });
        const fed = await open({ sweepIntervalMs: 1_000, reconcileIntervalMs: 1_000 });
        await vi.waitFor(() => expect(fed.feed.figures.reconciled.sweeps).toBeGreaterThan(1), soon);
        link.mute();
        await synapse.purge('!purged:x');
        await synapse.write({ roomId: '!kept:x', members: { '@b:x': 'join' } });
        await vi.waitFor(async () => expect(await fed.memberships()).toEqual(await synapse.truth()), later);
        const { sweeps, runs } = fed.feed.figures.reconciled;
        await vi.waitFor(() => {
          expect(fed.feed.figures.reconciled.sweeps).toBeGreaterThan(sweeps);
          expect(fed.feed.figures.reconciled.runs).toBeGreaterThan(runs);
        }, later);
      },
    );
  },
);
