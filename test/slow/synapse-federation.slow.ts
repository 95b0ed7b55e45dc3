/**
 * Does the sidecar say what Synapse says when the changes come from other servers? Two real ones, each with a sidecar, over a
 * link that can be cut: joins and bans from afar, a join whose room is known in part only, and two servers that went on apart
 * until state resolution decides between them. A long run is
 * `FEED_OPERATIONS=500 FEED_SEED=7 npm run test:slow -- test/slow/synapse-federation.slow.ts`.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { afterAll, beforeAll, describe, expect, test, vi } from 'vitest';
import { seededRandom, type Random } from '../model/random.js';
import { drawPairs, expectSameAnswers, expectSameMemberships } from '../synapse/agreement.js';
import { openSidecar } from '../synapse/feed-test.js';
import { whatIsMissing } from '../synapse/installed-synapse.js';
import { MatrixAnswerError, register, type MatrixClient } from '../synapse/matrix-client.js';
import type { Sidecar } from '../synapse/sidecar.js';
import { TestHomeserver } from '../synapse/test-homeserver.js';

const operations = Number(process.env.FEED_OPERATIONS ?? 80);
const seed = Number(process.env.FEED_SEED ?? Date.now() % 2 ** 31);
const usersOfEach = 6;
const waiting = { timeout: 30_000, interval: 100 };

const missing = whatIsMissing('openssl');

/** One of the two servers, and what belongs to it. */
class Side {
  readonly homeserver: TestHomeserver;
  readonly users: readonly MatrixClient[];

  static async open(name: string): Promise<Side> {
    const homeserver = await TestHomeserver.open({ federates: true });
    const users: MatrixClient[] = [];
    for (let user = 0; user < usersOfEach; user++)
      users.push(await register(homeserver.synapse, `${name}${user}`));
    return new Side(homeserver, users);
  }

  private constructor(homeserver: TestHomeserver, users: readonly MatrixClient[]) {
    this.homeserver = homeserver;
    this.users = users;
  }

  get name(): string {
    return this.homeserver.synapse.serverName;
  }

  /** Its members of a room, as its own state says. */
  async membersOf(roomId: string): Promise<string[]> {
    const rows = await this.homeserver.sql<{ state_key: string }>(
      `SELECT state_key FROM current_state_events
       WHERE type = 'm.room.member' AND membership = 'join' AND room_id = $1`,
      [roomId],
    );
    return rows.map((row) => row.state_key).sort();
  }

  async isPartial(roomId: string): Promise<boolean> {
    const rows = await this.homeserver.sql('SELECT 1 FROM partial_state_rooms WHERE room_id = $1', [roomId]);
    return rows.length > 0;
  }
}

describe.skipIf(missing !== undefined)(`two servers ${missing ?? ''}`, () => {
  let near: Side;
  let far: Side;
  let sidecars: readonly Sidecar[] = [];

  beforeAll(async () => {
    near = await Side.open('near');
    far = await Side.open('far');
  });

  afterAll(async () => {
    for (const side of [near, far] as (Side | undefined)[]) await side?.homeserver.close();
  });

  function cut(): void {
    for (const { homeserver } of [near, far]) homeserver.synapse.link?.cut();
  }

  function mend(): void {
    for (const { homeserver } of [near, far]) homeserver.synapse.link?.mend();
  }

  async function openSidecars(): Promise<void> {
    sidecars = await Promise.all([near, far].map(({ homeserver }) => openSidecar(homeserver, seed)));
  }

  /** Both servers agree about these rooms, as far as they are in them, and each sidecar with its own server about everything. */
  async function expectAgreement(roomIds: readonly string[]): Promise<void> {
    for (const roomId of roomIds) {
      await vi.waitFor(async () => {
        const [ours, theirs] = await Promise.all([near.membersOf(roomId), far.membersOf(roomId)]);
        // A server that nobody of is in a room hears nothing of it any more.
        if (ours.length > 0 && theirs.length > 0) expect(ours).toEqual(theirs);
      }, waiting);
    }
    for (const [index, side] of [near, far].entries()) {
      await expectSameMemberships(side.homeserver, sidecars[index]);
      const otherIds = [...near.users, ...far.users].map(({ userId }) => userId);
      const pairs = drawPairs(side.users, otherIds, 100, seededRandom(seed));
      await expectSameAnswers(side.homeserver, sidecars[index], pairs);
    }
  }

  async function count(index: number, asker: MatrixClient, other: MatrixClient): Promise<number> {
    return (await asker.at(sidecars[index].url).mutualRoomsPage(other.userId)).count;
  }

  test('joins, leaves and bans from afar', async () => {
    await openSidecars();
    const [alice, bob] = near.users;
    const [xavier, yvonne] = far.users;
    const room = await alice.createRoom();
    for (const user of [xavier, yvonne]) await user.join(room, near.name);
    await vi.waitFor(async () => expect(await count(0, alice, yvonne)).toBe(1), waiting);
    await vi.waitFor(async () => expect(await count(1, yvonne, alice)).toBe(1), waiting);
    await xavier.leave(room);
    await alice.ban(room, yvonne.userId);
    await vi.waitFor(async () => expect(await count(0, alice, yvonne)).toBe(0), waiting);
    await vi.waitFor(async () => expect(await count(0, alice, xavier)).toBe(0), waiting);
    await bob.join(room);
    await expectAgreement([room]);
  });

  test('a room joined from afar is known in part first, then whole', async () => {
    await openSidecars();
    const [alice] = near.users;
    const [xavier, ...others] = far.users;
    let room = '';
    try {
      // The rest of the room is asked for behind the join, and may be there before the link is cut.
      for (let isPartial = false; !isPartial;) {
        mend();
        room = await xavier.createRoom();
        for (const user of others) await user.join(room);
        await alice.join(room, far.name);
        cut();
        isPartial = await near.isPartial(room);
      }
      const known = await near.membersOf(room);
      expect(known).toContain(alice.userId);
      expect(known.length).toBeLessThan(others.length + 2);
      await expectSameMemberships(near.homeserver, sidecars[0]);
      const pairs = drawPairs(
        [alice],
        [xavier, ...others].map(({ userId }) => userId),
        10,
        seededRandom(seed),
      );
      await expectSameAnswers(near.homeserver, sidecars[0], pairs);
    } finally {
      mend();
    }
    // It has given up, and tries again when it is started.
    await near.homeserver.synapse.stop('main');
    await near.homeserver.synapse.start('main');
    await vi.waitFor(async () => expect(await near.isPartial(room)).toBe(false), waiting);
    expect(await near.membersOf(room)).toHaveLength(others.length + 2);
    await expectAgreement([room]);
  });

  test('two servers go on apart, and state resolution decides', async () => {
    await openSidecars();
    const [alice, bob, carol] = near.users;
    const [xavier, yvonne, zoe] = far.users;
    const room = await alice.createRoom({
      power_level_content_override: { users: { [xavier.userId]: 100 } },
    });
    for (const user of [bob, carol]) await user.join(room);
    for (const user of [xavier, yvonne, zoe]) await user.join(room, near.name);
    await expectAgreement([room]);
    cut();
    try {
      // Each side bans one of the other, who goes on as if nothing had been; and some come and go.
      await alice.ban(room, yvonne.userId);
      await xavier.ban(room, bob.userId);
      await yvonne.leave(room);
      await yvonne.join(room);
      await bob.leave(room);
      await carol.leave(room);
      await zoe.rename('Zoe');
      for (const [index, side] of [near, far].entries())
        await expectSameMemberships(side.homeserver, sidecars[index]);
    } finally {
      mend();
    }
    // What one of them says next brings the rest.
    await alice.send(room, 'here I am again');
    await xavier.send(room, 'so am I');
    await vi.waitFor(async () => expect(await far.membersOf(room)).not.toContain(yvonne.userId), waiting);
    await expectAgreement([room]);
    expect(await near.membersOf(room)).toEqual([alice, xavier, zoe].map(({ userId }) => userId).sort());
  });

  test('many on both sides, and a link that is cut now and then', async () => {
    await openSidecars();
    const random = seededRandom(seed);
    const rooms: { id: string; owner: MatrixClient; via: string }[] = [];
    for (const side of [near, far])
      for (const owner of side.users.slice(0, 3))
        rooms.push({ id: await owner.createRoom(), owner, via: side.name });
    const everybody = [...near.users, ...far.users];
    let left = operations;
    let done = 0;
    const act = async (random: Random): Promise<void> => {
      const room = rooms[random(rooms.length)];
      const user = everybody[random(everybody.length)];
      const kind = random(10);
      try {
        if (kind < 6) await user.join(room.id, room.via);
        else if (kind < 8) await user.leave(room.id);
        else if (kind === 8) await room.owner.kick(room.id, user.userId);
        else await room.owner.ban(room.id, user.userId).then(() => room.owner.unban(room.id, user.userId));
        done += 1;
      } catch (error) {
        // Refused, or not to be had while the link is cut.
        if (!(error instanceof MatrixAnswerError)) throw error;
      }
    };
    const actors = Array.from({ length: 4 }, async (_, actor) => {
      const own = seededRandom(seed + actor);
      while ((left -= 1) >= 0) await act(own);
    });
    const cutter = (async () => {
      while (left > 0) {
        await sleep(500 + random(1_500));
        cut();
        await sleep(random(1_000));
        mend();
      }
    })();
    const outcomes = await Promise.allSettled([...actors, cutter]);
    mend();
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
    expect(done).toBeGreaterThan(operations / 4);
    // What was said while the link was cut is told behind the next event.
    for (const { id, owner } of rooms) await owner.send(id, 'is anybody there?').catch(() => {});
    for (const [index, side] of [near, far].entries()) {
      await sleep(2_000);
      await expectSameMemberships(side.homeserver, sidecars[index]);
    }
  });
});
