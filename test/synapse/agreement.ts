/**
 * Does the sidecar say what Synapse says? Two oracles: the table that Synapse itself answers from, and the answers of its own
 * endpoint. Both are asked when nothing changes any more, and asked again until the sidecar has caught up, 45 s at most: a busy machine takes seconds for each look.
 *
 * Invariant: a difference that stays is thrown with both sides; nothing is left out of the comparison.
 * Cost: some 10 ms a pair, most of it Synapse's.
 */
import { isDeepStrictEqual } from 'node:util';
import { expect, vi } from 'vitest';
import type { Random } from '../model/random.js';
import type { MatrixClient } from './matrix-client.js';
import type { Sidecar } from './sidecar.js';
import type { TestHomeserver } from './test-homeserver.js';

const waiting = { timeout: 45_000, interval: 100 };

/** Pairs asked at once. */
const askedAtOnce = 8;

export interface Pair {
  readonly asker: MatrixClient;
  readonly otherId: string;
}

/** Every membership the sidecar holds is one of Synapse's current state, and the other way round. */
export async function expectSameMemberships(homeserver: TestHomeserver, sidecar: Sidecar): Promise<number> {
  return vi.waitFor(async () => {
    const rows = await homeserver.sql<{ room_id: string; state_key: string }>(
      "SELECT room_id, state_key FROM current_state_events WHERE type = 'm.room.member' AND membership = 'join'",
    );
    const truth = new Set(rows.map((row) => `${row.room_id} ${row.state_key}`));
    const ours = new Set(await sidecar.memberships());
    const difference = {
      missing: [...truth].filter((membership) => !ours.has(membership)),
      tooMany: [...ours].filter((membership) => !truth.has(membership)),
    };
    expect(difference).toEqual({ missing: [], tooMany: [] });
    return truth.size;
  }, waiting);
}

/** For each pair the same rooms over all pages, and the same count. @returns how many of the pairs share a room */
export async function expectSameAnswers(
  homeserver: TestHomeserver,
  sidecar: Sidecar,
  pairs: readonly Pair[],
): Promise<number> {
  let sharing = 0;
  let differing = [...pairs];
  await vi.waitFor(async () => {
    const still: Pair[] = [];
    const differences: unknown[] = [];
    for (let at = 0; at < differing.length; at += askedAtOnce) {
      const asked = differing.slice(at, at + askedAtOnce);
      const answers = await Promise.all(asked.map((pair) => bothAnswers(homeserver, sidecar, pair)));
      for (const [index, { theirs, ours }] of answers.entries()) {
        if (isDeepStrictEqual(theirs, ours)) sharing += theirs.count > 0 ? 1 : 0;
        else {
          still.push(asked[index]);
          differences.push({ of: asked[index].asker.userId, and: asked[index].otherId, theirs, ours });
        }
      }
    }
    differing = still;
    expect(differences).toEqual([]);
  }, waiting);
  return sharing;
}

async function bothAnswers(homeserver: TestHomeserver, sidecar: Sidecar, { asker, otherId }: Pair) {
  const [theirs, ours] = await Promise.all([
    asker.at(homeserver.synapse.url).mutualRooms(otherId),
    asker.at(sidecar.url).mutualRooms(otherId),
  ]);
  return { theirs, ours };
}

/** Pairs of different users, drawn with repetition. */
export function drawPairs(
  askers: readonly MatrixClient[],
  otherIds: readonly string[],
  count: number,
  random: Random,
): Pair[] {
  const pairs: Pair[] = [];
  while (pairs.length < count) {
    const asker = askers[random(askers.length)];
    const otherId = otherIds[random(otherIds.length)];
    if (asker.userId !== otherId) pairs.push({ asker, otherId });
  }
  return pairs;
}
