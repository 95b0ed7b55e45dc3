import { describe, expect, it } from 'vitest';
import { makeCommunity, type Community, type CommunityOptions } from '../../src/source/demo/community.js';

function sizesOf(community: Community) {
  const roomsOf = new Map<string, Set<string>>();
  const membersOf = new Map<string, number>();
  for (const batch of community.changes()) {
    expect(batch.length).toBeLessThanOrEqual(1000);
    for (const { userId, roomId } of batch) {
      if (!roomsOf.has(userId)) roomsOf.set(userId, new Set());
      roomsOf.get(userId)!.add(roomId);
      membersOf.set(roomId, (membersOf.get(roomId) ?? 0) + 1);
    }
  }
  return { roomsOf, membersOf };
}

const ascending = (sizes: Iterable<number>): number[] => [...sizes].sort((left, right) => left - right);
const at = (sizes: readonly number[], share: number): number => sizes[Math.floor(share * (sizes.length - 1))];

describe('makeCommunity', () => {
  it('is the same for the same seed, and another for another', () => {
    const small: CommunityOptions = { users: 300, rooms: 100, seed: 4 };
    const changes = [...makeCommunity(small).changes()];
    expect([...makeCommunity(small).changes()]).toEqual(changes);
    expect([...makeCommunity({ ...small, seed: 5 }).changes()]).not.toEqual(changes);
  });

  it('is as large as said, and skewed', () => {
    const community = makeCommunity();
    const { roomsOf, membersOf } = sizesOf(community);
    const rooms = ascending(membersOf.values());
    const users = ascending([...roomsOf.values()].map(({ size }) => size));
    expect(roomsOf.size).toBe(10_000);
    expect(membersOf.size).toBeGreaterThan(1950);
    expect(community.membershipCount).toBe(users.reduce((sum, size) => sum + size, 0));
    // Half of the rooms hold a few dozen at most, the largest a good part of everybody.
    expect(at(rooms, 0.5)).toBeLessThan(40);
    expect(at(rooms, 1)).toBeGreaterThan(2000);
    // Half of the users are in a few rooms; one in a hundred is in ten times as many; bots are in most.
    expect(at(users, 0.5)).toBeLessThan(8);
    expect(at(users, 0.99)).toBeGreaterThan(10 * at(users, 0.5));
    expect(at(users, 1)).toBeGreaterThan(1000);
    const hashed = [...membersOf.keys()].filter((room) => !room.includes(':')).length;
    expect(hashed).toBeGreaterThan(100);
  });

  it.each([{}, { seed: 7 }, { users: 10, rooms: 20 }, { users: 1000, rooms: 20, seed: 3 }])(
    'friends share rooms, the stranger none: %j',
    (options) => {
      const community = makeCommunity(options);
      const { roomsOf } = sizesOf(community);
      const [alice, bob] = community.friends.map((friend) => roomsOf.get(friend)!);
      const stranger = roomsOf.get(community.stranger)!;
      expect([...alice].filter((room) => bob.has(room))).toHaveLength(community.sharedCount);
      expect(community.sharedCount).toBeGreaterThanOrEqual(Object.keys(options).includes('rooms') ? 1 : 20);
      expect([...stranger].some((room) => alice.has(room) || bob.has(room))).toBe(false);
      expect(stranger.size).toBe(1);
      expect(alice.has(community.ownRoom)).toBe(true);
    },
  );
});
