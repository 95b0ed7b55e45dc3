/**
 * Does the feed lose nothing, whatever the stream does? Against the tables of Synapse, which the tests write themselves: ids out of
 * order, stalls, holes, restores, changes that nothing tells of. On a real PostgreSQL. What a real Synapse writes is for
 * synapse-feed.slow.ts.
 *
 * Repairs are off unless they are what a test is about: they would hide what was lost.
 */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { Connection } from '../../src/source/synapse/database/connection.js';
import { GapLedger } from '../../src/source/synapse/follow/gap-ledger.js';
import type { Position } from '../../src/source/synapse/follow/position.js';
import { Tail } from '../../src/source/synapse/follow/tail.js';
import { seededRandom, type Random } from '../model/random.js';
import { missingPostgres } from '../servers/postgres-programs.js';
import { PostgresServer } from '../servers/postgres-server.js';
import { FedEngine, SteppedClock, type FedOptions } from '../synapse/fed-engine.js';
import { SimulatedSynapse, type PendingWrite, type Write } from '../synapse/simulated-synapse.js';

const missing = missingPostgres();
const soon = { timeout: 20_000, interval: 20 };

const seeds =
  process.env.STREAM_SEED === undefined ? [1, 2, 3, 4] : process.env.STREAM_SEED.split(',').map(Number);

describe.skipIf(missing !== undefined)(
  `a stream written by hand${missing === undefined ? '' : ` (${missing})`}`,
  () => {
    let postgres: PostgresServer;

    beforeAll(async () => {
      postgres = await PostgresServer.open();
    });

    afterAll(async () => {
      await (postgres as PostgresServer | undefined)?.close();
    });

    const openSynapse = async (): Promise<SimulatedSynapse> => {
      const synapse = await SimulatedSynapse.open(postgres);
      onTestFinished(() => synapse.close());
      return synapse;
    };
    const follow = async (synapse: SimulatedSynapse, options: FedOptions = {}): Promise<FedEngine> => {
      const fed = await FedEngine.open(postgres, synapse.database, options);
      await vi.waitFor(() => expect(fed.feed.status.state).toBe('following'), soon);
      return fed;
    };
    const expectTruth = async (fed: FedEngine, synapse: SimulatedSynapse): Promise<void> => {
      await vi.waitFor(async () => expect(await fed.memberships()).toEqual(await synapse.truth()), soon);
    };
    /** Lets nobody but the writer in meanwhile, as while a database is put back. */
    const whileAway = async (synapse: SimulatedSynapse, what: () => Promise<void>): Promise<void> => {
      const allow = async (isAllowed: boolean): Promise<unknown> =>
        postgres.query('postgres', `ALTER DATABASE ${synapse.database} ALLOW_CONNECTIONS ${isAllowed}`);
      await allow(false);
      await cutConnections(synapse);
      await what();
      await allow(true);
    };
    /** Closes every connection of the feed. */
    const cutConnections = async (synapse: SimulatedSynapse): Promise<void> => {
      await postgres.query(
        'postgres',
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'mutual-rooms' AND datname = $1",
        [synapse.database],
      );
    };

    test('a change is seen, and one that says what was is none', async () => {
      const synapse = await openSynapse();
      await synapse.write({ roomId: '!before:x', members: { '@a:x': 'join', '@b:x': 'invite' } });
      const fed = await follow(synapse);
      expect(await fed.memberships()).toEqual(['!before:x @a:x']);
      await synapse.write({ roomId: '!after:x', members: { '@a:x': 'join', '@b:x': 'join' } });
      await synapse.write({ roomId: '!before:x', members: { '@a:x': 'leave', '@b:x': 'join' } });
      await synapse.write({ roomId: '!before:x', members: { '@b:x': 'join' } });
      await expectTruth(fed, synapse);
    });

    test('names that COPY must escape, and that are no ASCII', async () => {
      const synapse = await openSynapse();
      const names = ['\\', 'tab\there', 'line\nhere', '@ü🎉:x', 'quote\'"', '\\N', '{a,b}', ' '];
      for (const name of names)
        await synapse.write({
          roomId: `!${name}`,
          members: Object.fromEntries(names.map((n) => [n, 'join'])),
        });
      const fed = await follow(synapse);
      await expectTruth(fed, synapse);
      for (const name of names)
        await synapse.write({ roomId: `!later ${name}`, members: { [name]: 'join' } });
      await expectTruth(fed, synapse);
    });

    test('an id that becomes visible after thousands of higher ones', async () => {
      const synapse = await openSynapse();
      const fed = await follow(synapse);
      const stalled = await synapse.begin({ roomId: '!stalled:x', members: { '@a:x': 'join' } });
      for (let batch = 0; batch < 30; batch += 1)
        await synapse.write({ roomId: '!busy:x', members: { [`@u${batch}:x`]: 'join' }, ids: 200 });
      await vi.waitFor(async () => expect(await fed.memberships()).toHaveLength(30), soon);
      expect(fed.feed.figures.gapsOpen).toBe(1);
      await synapse.commit(stalled);
      await expectTruth(fed, synapse);
      expect(fed.feed.figures.gapsOpen).toBe(0);
    });

    test('a poll is at the end only when all is read that has appeared in gaps, however much that is', async () => {
      const synapse = await openSynapse();
      const clock = new SteppedClock();
      const stalled: PendingWrite[] = [];
      for (const ids of [2_500, ...Array<number>(24).fill(700)]) {
        const roomId = `!stalled${stalled.length}:x`;
        stalled.push(await synapse.begin({ roomId, members: { '@a:x': 'join' }, ids }));
        await synapse.write({ roomId: '!busy:x', members: { [`@b${stalled.length}:x`]: 'join' } });
      }
      const { host, port, superuser: user, password } = postgres;
      const connection = await Connection.open({ host, port, user, password, database: synapse.database });
      onTestFinished(() => connection.close());
      const tail = new Tail(connection, clock);
      let position: Position = { high: 1, ledger: new GapLedger([]), anchor: undefined, asOfMs: 0 };
      const rooms = new Set<string>();
      const poll = async (looksForAll: boolean): Promise<boolean> => {
        const next = await tail.poll(position, looksForAll);
        if (next === undefined) throw new Error('it is another database');
        for await (const changes of next.changes ?? [])
          for (const { roomId, joined } of changes) if (joined) rooms.add(roomId);
        position = next.position;
        return next.isAtEnd;
      };
      while (!(await poll(false)));
      expect(position.ledger.idCount).toBe(2_500 + 24 * 700);
      // From then on few polls look for them.
      clock.aheadMs = 60 * 60_000;
      await poll(false);
      for (const pending of stalled) await synapse.commit(pending);
      await poll(false);
      expect(rooms).toEqual(new Set(['!busy:x']));
      expect(await poll(true)).toBe(false);
      let polls = 0;
      while (!(await poll(false))) polls += 1;
      expect(polls).toBeGreaterThan(0);
      expect(position.ledger.idCount).toBe(0);
      expect(rooms.size).toBe(1 + stalled.length);
    });

    test.each([
      ['no JSON', 'not JSON'],
      ['of another version', '{"version":2,"isWhole":true}'],
      ['of another shape', '{"version":1,"isWhole":true,"high":-7,"gaps":[],"asOfMs":0}'],
    ])('what is stored of how far it was read is %s: said, and all is copied anew', async (_, cursor) => {
      const synapse = await openSynapse();
      const directory = mkdtempSync(join(tmpdir(), 'mutual-rooms-'));
      onTestFinished(() => rmSync(directory, { recursive: true }));
      await synapse.write({ roomId: '!known:x', members: { '@a:x': 'join' } });
      const first = await follow(synapse, { directory });
      await first.feed.close();
      await first.destination.apply([], Buffer.from(cursor));
      await first.close();
      await synapse.write({ roomId: '!later:x', members: { '@a:x': 'join' } });
      const second = await follow(synapse, { directory });
      expect(await second.memberships()).toEqual(['!known:x @a:x', '!later:x @a:x']);
      const why = 'how far the database was read is stored in a form that this version cannot read';
      expect(second.told).toContainEqual(['advice', `${why}: all memberships are copied anew`]);
      expect(second.told).toContainEqual(['copied', expect.objectContaining({ why })]);
      // What it stores by then can be gone on from.
      await second.close();
      expect((await follow(synapse, { directory })).feed.figures.copies).toBe(0);
    });

    test('a gap is known after the process was ended, and filled while it was', async () => {
      const synapse = await openSynapse();
      const directory = mkdtempSync(join(tmpdir(), 'mutual-rooms-'));
      onTestFinished(() => rmSync(directory, { recursive: true }));
      await synapse.write({ roomId: '!known:x', members: { '@b:x': 'leave' } });
      const first = await follow(synapse, { directory });
      const early = await synapse.begin({ roomId: '!early:x', members: { '@a:x': 'join' } });
      const late = await synapse.begin({ roomId: '!late:x', members: { '@a:x': 'join' } });
      await synapse.write({ roomId: '!busy:x', members: { '@b:x': 'join' } });
      await vi.waitFor(async () => expect(await first.memberships()).toHaveLength(1), soon);
      // Until the row that the database is known by is above the gaps.
      await sleep(1_500);
      await first.close();
      await synapse.commit(early);
      await synapse.write({ roomId: '!meanwhile:x', members: { '@c:x': 'join' } });
      const second = await follow(synapse, { directory });
      expect(second.feed.figures.copies).toBe(0);
      await vi.waitFor(async () => expect(await second.memberships()).toHaveLength(3), soon);
      await synapse.commit(late);
      await expectTruth(second, synapse);
      expect(second.feed.figures.copies).toBe(0);
    });

    test('ids that were in flight while all was copied', async () => {
      const synapse = await openSynapse();
      const pending: PendingWrite[] = [];
      for (let index = 0; index < 20; index += 1) {
        pending.push(await synapse.begin({ roomId: `!r${index}:x`, members: { '@a:x': 'join' } }));
        await synapse.write({ roomId: '!other:x', members: { [`@u${index}:x`]: 'join' } });
      }
      const fed = await follow(synapse);
      expect(await fed.memberships()).toHaveLength(20);
      for (const write of pending.reverse()) await synapse.commit(write);
      await expectTruth(fed, synapse);
    });

    test('a day of changes behind, in pieces', async () => {
      const synapse = await openSynapse();
      const directory = mkdtempSync(join(tmpdir(), 'mutual-rooms-'));
      onTestFinished(() => rmSync(directory, { recursive: true }));
      await synapse.write({ roomId: '!first:x', members: { '@a:x': 'join' } });
      const first = await follow(synapse, { directory });
      await first.close();
      for (let room = 0; room < 40; room += 1) {
        const users = Array.from({ length: 250 }, (_, user) => [
          `@u${user}:x`,
          user % 7 === 0 ? 'leave' : 'join',
        ]);
        await synapse.write({ roomId: `!r${room}:x`, members: Object.fromEntries(users), ids: 300 });
      }
      const second = await follow(synapse, { directory });
      expect(second.feed.figures.copies).toBe(0);
      await expectTruth(second, synapse);
    });

    test('the last local user leaves: all state goes under one id', async () => {
      const synapse = await openSynapse();
      const users = Array.from({ length: 3_000 }, (_, user) => `@u${user}:x`);
      await synapse.write({
        roomId: '!large:x',
        members: Object.fromEntries(users.map((user) => [user, 'join'])),
        ids: 1,
      });
      const fed = await follow(synapse);
      expect(await fed.memberships()).toHaveLength(3_000);
      await synapse.write({
        roomId: '!large:x',
        members: Object.fromEntries(users.map((user) => [user, null])),
        ids: 1,
      });
      await expectTruth(fed, synapse);
      expect(await fed.memberships()).toEqual([]);
    });

    test('a partial join ends: thousands of members under an id without an event', async () => {
      const synapse = await openSynapse();
      await synapse.write({ roomId: '!partial:x', members: { '@local:x': 'join' } });
      const fed = await follow(synapse);
      const users = Array.from({ length: 5_000 }, (_, user) => [
        `@u${user}:y`,
        user % 3 === 0 ? 'leave' : 'join',
      ]);
      await synapse.write({
        roomId: '!partial:x',
        members: Object.fromEntries(users),
        ids: 1,
        withoutEvents: true,
      });
      await expectTruth(fed, synapse);
    });

    /** Takes everything of a room out, as if its transaction had never been; then ids are given out again. */
    const forget = `BEGIN; DELETE FROM current_state_events WHERE room_id = '!lost:x';
      DELETE FROM current_state_delta_stream WHERE room_id = '!lost:x'; DELETE FROM events WHERE room_id = '!lost:x';
      DELETE FROM rooms WHERE room_id = '!lost:x'; SELECT setval('events_stream_seq', 2); COMMIT`;

    test('neighbouring gaps that are filled at once, with more rows than one look takes', async () => {
      const synapse = await openSynapse();
      await synapse.write({ roomId: '!k:x', members: { '@a:x': 'join' } });
      const fed = await follow(synapse);
      const users = Array.from({ length: 1_200 }, (_, user) => [`@u${user}:y`, 'join']);
      const pending = [
        await synapse.begin({ roomId: '!large:x', members: Object.fromEntries(users), ids: 1 }),
      ];
      for (let room = 0; room < 400; room += 1)
        pending.push(
          await synapse.begin({
            roomId: `!small${room}:x`,
            members: { '@a:x': 'join', '@b:x': 'join', '@c:x': 'join' },
            ids: 1,
          }),
        );
      await synapse.write({ roomId: '!k:x', members: { '@b:x': 'join' } });
      await vi.waitFor(() => expect(fed.feed.figures.gapsOpen).toBe(401), soon);
      const session = await postgres.connect(synapse.database);
      onTestFinished(() => session.end());
      await session.query('BEGIN');
      for (const write of pending) await synapse.commit(write, session);
      await session.query('COMMIT');
      await expectTruth(fed, synapse);
    });

    test('an id that stalls below more gaps than are kept', async () => {
      const synapse = await openSynapse();
      await synapse.write({ roomId: '!k:x', members: { '@a:x': 'join' } });
      const fed = await follow(synapse);
      const stalled = await synapse.begin({ roomId: '!stalled:x', members: { '@a:x': 'join' } });
      await synapse.query(
        "INSERT INTO events SELECT 10 + 2 * g, '$h' || g, '!k:x', 'm' FROM generate_series(1, 10010) AS g",
      );
      await synapse.query("SELECT setval('events_stream_seq', 30040)");
      await synapse.write({ roomId: '!k:x', members: { '@b:x': 'join' } });
      await vi.waitFor(() => expect(fed.feed.figures.position).toBe(30_041), soon);
      expect(fed.told.map(([what]) => what)).toContain('gapsRetired');
      await synapse.commit(stalled);
      await expectTruth(fed, synapse);
    });

    test('a gap is looked for once more before it is given up', async () => {
      const synapse = await openSynapse();
      await synapse.write({ roomId: '!k:x', members: { '@a:x': 'join' } });
      const clock = new SteppedClock();
      const fed = await follow(synapse, { clock });
      const stalled = await synapse.begin({ roomId: '!stalled:x', members: { '@a:x': 'join' } });
      await synapse.begin({ roomId: '!hole:x', members: { '@a:x': 'join' } });
      await synapse.write({ roomId: '!k:x', members: { '@b:x': 'join' } });
      await vi.waitFor(() => expect(fed.feed.figures.gapsOpen).toBe(2), soon);
      clock.aheadMs = 61 * 60_000;
      // Old gaps are looked for every ten seconds.
      await sleep(1_500);
      await synapse.commit(stalled);
      await synapse.announce('master', 100);
      await vi.waitFor(() => expect(fed.feed.figures.gapsOpen).toBe(0), soon);
      await expectTruth(fed, synapse);
      expect(fed.feed.figures.gapsRetired).toBe(1);
    });

    test('a purge, of which the stream does not tell, is found by the sweep alone', async () => {
      const synapse = await openSynapse();
      await synapse.write({ roomId: '!purged:x', members: { '@a:x': 'join', '@b:x': 'join' } });
      await synapse.write({ roomId: '!kept:x', members: { '@a:x': 'join' } });
      // The purge tells the sweep to come before its time.
      const fed = await follow(synapse, { sweepIntervalMs: 3_600_000 });
      await vi.waitFor(() => expect(fed.feed.figures.reconciled.sweeps).toBe(1), soon);
      await synapse.purge('!purged:x');
      await expectTruth(fed, synapse);
      expect(fed.told).toContainEqual(['swept', 1]);
      expect(fed.feed.figures.reconciled).toMatchObject({ roomsPurged: 1, roomsDrifted: 0 });
    });

    describe('reconciliation', () => {
      test('puts right what was changed by hand, and says so', async () => {
        const synapse = await openSynapse();
        for (let room = 0; room < 2_500; room += 1)
          await synapse.write({ roomId: `!r${room}:x`, members: { '@a:x': 'join', '@b:x': 'join' } });
        const fed = await follow(synapse, { reconcileIntervalMs: 50 });
        await vi.waitFor(() => expect(fed.feed.figures.reconciled.runs).toBeGreaterThan(0), soon);
        expect(fed.feed.figures.reconciled).toMatchObject({ roomsDrifted: 0, roomsSkipped: 0 });
        await synapse.query(
          `UPDATE current_state_events SET state_key = '@c:x' WHERE room_id = '!r7:x' AND state_key = '@b:x';`,
        );
        await synapse.query(`DELETE FROM current_state_events WHERE room_id IN ('!r8:x', '!r2400:x')`);
        await synapse.query(
          `INSERT INTO current_state_events (event_id, room_id, type, state_key, membership)
           VALUES ('$new', '!new:x', 'm.room.member', '@a:x', 'join')`,
        );
        await expectTruth(fed, synapse);
        await vi.waitFor(
          () =>
            expect(fed.feed.figures.reconciled).toMatchObject({
              roomsDrifted: 4,
              membershipsRepaired: 2 + 4 + 1,
            }),
          soon,
        );
        expect(fed.told.filter(([what]) => what === 'repaired').length).toBeGreaterThan(0);
      });

      test('puts right a room that changes all the time', async () => {
        const synapse = await openSynapse();
        for (let room = 0; room < 1_200; room += 1)
          await synapse.write({ roomId: `!r${room}:x`, members: { '@a:x': 'join' } });
        await synapse.write({ roomId: '!busy:x', members: { '@a:x': 'join', '@drift:x': 'join' } });
        const fed = await follow(synapse, { reconcileIntervalMs: 50 });
        await synapse.query("DELETE FROM current_state_events WHERE state_key = '@drift:x'");
        await vi.waitFor(async () => {
          await synapse.write({ roomId: '!busy:x', members: { '@a:x': 'join' } });
          expect(await fed.memberships()).not.toContain('!busy:x @drift:x');
        }, soon);
      });

      test('takes no gap that is filled late for drift', async () => {
        const synapse = await openSynapse();
        await synapse.write({ roomId: '!k:x', members: { '@a:x': 'join' } });
        const clock = new SteppedClock();
        const fed = await follow(synapse, { clock, reconcileIntervalMs: 50 });
        const stalled = await synapse.begin({ roomId: '!stalled:x', members: { '@a:x': 'join' } });
        await synapse.write({ roomId: '!k:x', members: { '@b:x': 'join' } });
        await vi.waitFor(() => expect(fed.feed.figures.gapsOpen).toBe(1), soon);
        clock.aheadMs = 6 * 60_000;
        await sleep(500);
        await synapse.commit(stalled);
        await expectTruth(fed, synapse);
        const { runs } = fed.feed.figures.reconciled;
        await vi.waitFor(() => expect(fed.feed.figures.reconciled.runs).toBeGreaterThan(runs + 2), soon);
        expect(fed.feed.figures.reconciled.roomsDrifted).toBe(0);
      });

      test('finds nothing while everything changes', async () => {
        const synapse = await openSynapse();
        const random = seededRandom(77);
        const fed = await follow(synapse, { reconcileIntervalMs: 1, sweepIntervalMs: 1_000 });
        for (let write = 0; write < 1_500; write += 1) await synapse.write(randomWrite(random));
        await expectTruth(fed, synapse);
        const { runs, roomsDrifted, roomsPurged } = fed.feed.figures.reconciled;
        expect(runs).toBeGreaterThan(3);
        expect({ roomsDrifted, roomsPurged }).toEqual({ roomsDrifted: 0, roomsPurged: 0 });
      });
    });

    describe('an older database in its place', () => {
      test('is recognised, and copied anew', async () => {
        const synapse = await openSynapse();
        await synapse.write({ roomId: '!kept:x', members: { '@a:x': 'join' } });
        await synapse.query('CREATE TABLE saved_state AS SELECT * FROM current_state_events');
        await synapse.query('CREATE TABLE saved_deltas AS SELECT * FROM current_state_delta_stream');
        await synapse.query('CREATE TABLE saved_events AS SELECT * FROM events');
        const fed = await follow(synapse);
        await synapse.write({ roomId: '!lost:x', members: { '@a:x': 'join' } });
        await expectTruth(fed, synapse);
        await synapse.query('BEGIN');
        for (const [table, saved] of [
          ['current_state_events', 'saved_state'],
          ['current_state_delta_stream', 'saved_deltas'],
          ['events', 'saved_events'],
        ])
          await synapse
            .query(`DELETE FROM ${table}`)
            .then(() => synapse.query(`INSERT INTO ${table} SELECT * FROM ${saved}`));
        await synapse.query("SELECT setval('events_stream_seq', (SELECT max(stream_ordering) FROM events))");
        await synapse.query('COMMIT');
        // Its ids are given out again, for other changes.
        for (let room = 0; room < 5; room += 1)
          await synapse.write({ roomId: `!other${room}:x`, members: { '@b:x': 'join' } });
        await cutConnections(synapse);
        await expectTruth(fed, synapse);
        expect(fed.told.map(([what]) => what)).toContain('notTheSame');
        expect(fed.feed.figures.copies).toBe(2);
      });

      test('is recognised when connections are kept', async () => {
        const synapse = await openSynapse();
        await synapse.write({ roomId: '!k:x', members: { '@a:x': 'join' } });
        const clock = new SteppedClock();
        const fed = await follow(synapse, { clock });
        await synapse.write({ roomId: '!lost:x', members: { '@a:x': 'join' } });
        await expectTruth(fed, synapse);
        await synapse.query(forget);
        await sleep(1_500);
        clock.aheadMs = 60_000;
        await expectTruth(fed, synapse);
        expect(fed.told.map(([what]) => what)).toContain('notTheSame');
      });

      test('is recognised when it lacks but the last change, however soon it was lost', async () => {
        const synapse = await openSynapse();
        await synapse.write({ roomId: '!k:x', members: { '@a:x': 'join' } });
        const fed = await follow(synapse);
        await sleep(1_500);
        await synapse.write({ roomId: '!lost:x', members: { '@a:x': 'join' } });
        await vi.waitFor(async () => expect(await fed.memberships()).toHaveLength(2), {
          timeout: 5_000,
          interval: 2,
        });
        await synapse.query(forget);
        await cutConnections(synapse);
        await synapse.write({ roomId: '!k:x', members: { '@c:x': 'join' } });
        await expectTruth(fed, synapse);
      });

      test('that is copied half, and gone again, is not gone on from', async () => {
        const synapse = await openSynapse();
        for (let room = 0; room < 40; room += 1)
          await synapse.write({ roomId: `!r${room}:x`, members: { [`@u${room}:x`]: 'join' } });
        const broken = { isBroken: false };
        const fed = await follow(synapse, { replacedInParts: broken });
        await synapse.query(
          `BEGIN; CREATE TABLE kept_state AS SELECT * FROM current_state_events WHERE room_id NOT LIKE '!r_:x';
             CREATE TABLE kept_deltas AS SELECT * FROM current_state_delta_stream WHERE room_id NOT LIKE '!r_:x';
             DELETE FROM current_state_events WHERE room_id NOT LIKE '!r_:x';
             DELETE FROM current_state_delta_stream WHERE room_id NOT LIKE '!r_:x'; COMMIT`,
        );
        broken.isBroken = true;
        await cutConnections(synapse);
        await vi.waitFor(
          () =>
            expect(fed.told).toContainEqual([
              'failed',
              'follow',
              expect.stringContaining('the disk is full'),
            ]),
          soon,
        );
        expect((await fed.memberships()).length).toBeLessThan(40);
        await synapse.query(
          `BEGIN; INSERT INTO current_state_events SELECT * FROM kept_state;
             INSERT INTO current_state_delta_stream SELECT * FROM kept_deltas; COMMIT`,
        );
        broken.isBroken = false;
        await expectTruth(fed, synapse);
        expect(fed.feed.figures.copies).toBe(2);
      });

      test('put back to after the last change of state: ids that are given out again are read again', async () => {
        const synapse = await openSynapse();
        await synapse.write({ roomId: '!kept:x', members: { '@a:x': 'join' } });
        const fed = await follow(synapse);
        // Messages, up to id 101 or so; the backup has none of them.
        await synapse.write({ roomId: '!kept:x', members: {}, ids: 100 });
        await vi.waitFor(() => expect(fed.feed.figures.position).toBeGreaterThan(100), soon);
        await whileAway(synapse, async () => {
          await synapse.query('DELETE FROM events WHERE stream_ordering > 2');
          await synapse.query("SELECT setval('events_stream_seq', 2)");
          for (let room = 0; room < 5; room += 1)
            await synapse.write({ roomId: `!again${room}:x`, members: { '@b:x': 'join' }, ids: 30 });
        });
        await expectTruth(fed, synapse);
        expect(fed.feed.figures.copies).toBe(1);
      });
    });

    test('a statement that waits for ever is given up by nobody but the server', async () => {
      const synapse = await openSynapse();
      await synapse.write({ roomId: '!r:x', members: { '@a:x': 'join' } });
      const fed = await follow(synapse);
      const locker = await postgres.connect(synapse.database);
      onTestFinished(() => locker.end());
      await locker.query('BEGIN');
      await locker.query('LOCK TABLE current_state_delta_stream IN ACCESS EXCLUSIVE MODE');
      await sleep(500);
      expect(fed.feed.status.ageSeconds).toBeGreaterThan(0.3);
      expect(await fed.memberships()).toEqual(['!r:x @a:x']);
      await locker.query('COMMIT');
      await synapse.write({ roomId: '!r:x', members: { '@b:x': 'join' } });
      await expectTruth(fed, synapse);
    });

    test('a query whose asker has given up ends in the server, too', async () => {
      const synapse = await openSynapse();
      const { host, port, superuser: user, password } = postgres;
      const connection = await Connection.open(
        { host, port, user, password, database: synapse.database },
        { patience: { connectMsMax: 5_000, silenceMsMax: 300 } },
      );
      await expect(connection.query('SELECT pg_sleep(100)')).rejects.toThrow(/timeout/);
      const running = async (): Promise<number> =>
        (
          await postgres.query(
            'postgres',
            "SELECT FROM pg_stat_activity WHERE application_name = 'mutual-rooms' AND datname = $1 AND state = 'active'",
            [synapse.database],
          )
        ).length;
      expect(await running()).toBe(1);
      await vi.waitFor(async () => expect(await running()).toBe(0), soon);
    });

    test.each(seeds)(
      'at random: out of order, stalled, failed, restarted (seed %i)',
      async (seed) => {
        const random = seededRandom(seed);
        const synapse = await openSynapse();
        const directory = mkdtempSync(join(tmpdir(), 'mutual-rooms-'));
        onTestFinished(() => rmSync(directory, { recursive: true }));
        const shards = random(3);
        for (let write = 0; write < 50; write += 1) await synapse.write(randomWrite(random));
        let pending: PendingWrite[] = [await synapse.begin(randomWrite(random))];
        let fed = await follow(synapse, { directory, shards });
        for (let step = 0; step < 1_200; step += 1) {
          const kind = random(100);
          if (kind < 45) pending.push(await synapse.begin(randomWrite(random), `writer${random(3)}`));
          else if (kind < 90) {
            // Any of them: Synapse has one at a time in a room, but here the last to commit is the truth all the same.
            const [write] = pending.splice(random(pending.length), 1);
            if (write === undefined) continue;
            if (random(12) === 0) continue;
            await synapse.commit(write);
            if (random(3) === 0) await synapse.announce(write.writer, Math.max(...write.taken));
          } else if (kind < 94) await synapse.write({ ...randomWrite(random), withoutEvents: true });
          else if (kind < 97) await synapse.write({ roomId: '!chat:x', members: {}, ids: 1 + random(40) });
          else if (kind < 98) await sleep(random(60));
          else if (kind < 99 && random(3) === 0) await cutConnections(synapse);
          else if (random(6) === 0) {
            await fed.close();
            fed = await follow(synapse, { directory, shards: random(3) });
          } else if (random(60) === 0) {
            await postgres.crash();
            await postgres.start();
            await synapse.reconnect();
            pending = [];
          }
        }
        for (const write of pending) await synapse.commit(write);
        await expectTruth(fed, synapse);
        expect(await fed.memberships()).not.toEqual([]);
        expect(fed.feed.figures.copies).toBeLessThanOrEqual(1);
        await fed.close();
        const again = await follow(synapse, { directory });
        expect(again.feed.figures.copies).toBe(0);
        await expectTruth(again, synapse);
      },
      120_000,
    );
  },
);

const memberships = ['join', 'join', 'join', 'leave', 'ban', 'invite', 'knock', null] as const;

function randomWrite(random: Random): Write {
  const members: Record<string, string | null> = {};
  const count = random(10) === 0 ? 60 : 1 + random(4);
  for (let member = 0; member < count; member += 1)
    members[`@u${random(80)}:x`] = memberships[random(memberships.length)];
  return { roomId: `!r${random(40)}:x`, members, ids: 1 + random(5) };
}
