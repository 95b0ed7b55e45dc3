/** Is a membership that was restored the one that came about room by room, whatever is done to it afterwards? */
import { describe, expect, test } from 'vitest';
import fc from 'fast-check';
import {
  firstRoomOf,
  nobody,
  partitionCount,
  partitionOf,
  type RoomNo,
  type UserNo,
} from '../../src/base/ids.js';
import { roomsPerPageMax } from '../../src/base/limits.js';
import { packedCountMax } from '../../src/sets/thresholds.js';
import { DenseHandles, SparseHandles, type Handles } from '../../src/shard/handles.js';
import { Membership } from '../../src/shard/membership.js';
import { Rooms } from '../../src/shard/rooms.js';
import { seededRandom } from '../model/random.js';

const usersEnd = 40;

/** So many rooms, ascending, in up to 64 partitions. */
function roomsOf(count: number, seed: number): number[] {
  const random = seededRandom(seed);
  const rooms = new Set<number>();
  while (rooms.size < count) rooms.add(firstRoomOf(random(partitionCount)) + random(count * 2));
  return [...rooms].sort((left, right) => left - right);
}

/** The rooms of each partition, or of each `partitions` partitions. */
function pieces(rooms: readonly number[], partitions: number): number[][] {
  const groups = new Map<number, number[]>();
  for (const room of rooms) {
    const group = Math.floor(room / (2 ** 25 * partitions));
    groups.set(group, [...(groups.get(group) ?? []), room]);
  }
  return [...groups.values()];
}

/** What anybody can see of a membership. */
function seen(membership: Membership): unknown {
  const users = Array.from({ length: usersEnd + 2 }, (_, user) => user as UserNo);
  return {
    fault: membership.fault(),
    count: membership.count,
    usersEnd: membership.usersEnd,
    usersHere: [...membership.usersHere()],
    bitmapCount: membership.bitmapCount,
    rooms: users.map((user) => {
      const { count, taken, rooms } = membership.mutual([user], 0, roomsPerPageMax);
      return [count, ...rooms.subarray(0, taken)];
    }),
    mutual: users.slice(1).map((user) => membership.mutual([user, users[1]], 0, 0).count),
    shares: users.slice(1).map((user) => membership.shares(user, users[1])),
  };
}

describe.each<[string, () => Handles]>([
  ['dense', () => new DenseHandles()],
  ['sparse', () => new SparseHandles()],
])('%s', (_, handles) => {
  const user = fc.integer({ min: 1, max: usersEnd });
  const count = fc.oneof(
    { weight: 8, arbitrary: fc.integer({ min: 0, max: 12 }) },
    { weight: 2, arbitrary: fc.integer({ min: 13, max: 300 }) },
    { weight: 1, arbitrary: fc.constantFrom(packedCountMax - 1, packedCountMax, packedCountMax + 1, 5000) },
  );
  /** Who has how many rooms, and how many partitions come at a time. */
  const population = fc.uniqueArray(fc.tuple(user, count, fc.constantFrom(1, 7, 64)), {
    maxLength: 15,
    selector: ([number]) => number,
  });
  const changes = fc.array(fc.tuple(user, fc.nat({ max: 30 }), fc.boolean()), { maxLength: 60 });

  test('agrees with one room after the other, before and after changes', () => {
    fc.assert(
      fc.property(population, changes, fc.nat(), (users, steps, seed) => {
        const restored = new Membership(handles());
        const grown = new Membership(handles());
        const target = new Uint32Array(8192).fill(3);
        for (const [number, roomCount, partitions] of users) {
          const rooms = roomsOf(roomCount, seed + number);
          for (const piece of pieces(rooms, partitions)) {
            target.set(piece);
            restored.restore(number as UserNo, target, piece.length);
          }
          for (const room of rooms) grown.set(number as UserNo, room as RoomNo, true);
        }
        expect(seen(restored)).toEqual(seen(grown));
        for (const [number, index, joined] of steps) {
          // Rooms that the user has, and others.
          const roomCount = users.find(([other]) => other === number)?.[1] ?? 0;
          const rooms = roomsOf(roomCount, seed + number);
          const room = (rooms[index % (rooms.length + 3)] ?? index) as RoomNo;
          expect(restored.set(number as UserNo, room, joined)).toBe(
            grown.set(number as UserNo, room, joined),
          );
        }
        for (const [number] of users.slice(0, 2))
          expect(restored.forgetUser(number as UserNo)).toBe(grown.forgetUser(number as UserNo));
        expect(seen(restored)).toEqual(seen(grown));
      }),
      { numRuns: 60 },
    );
  });

  test('forgetUser takes a user out of every room, in both forms', () => {
    const membership = new Membership(handles());
    const rooms = roomsOf(packedCountMax + 1, 2) as RoomNo[];
    const [alice, bob] = [1, 2] as UserNo[];
    for (const room of rooms) membership.set(alice, room, true);
    for (const room of rooms.slice(0, 9)) membership.set(bob, room, true);
    expect(membership.bitmapCount).toBe(1);
    expect(membership.forgetUser(alice)).toBe(rooms.length);
    expect(membership.forgetUser(alice)).toBe(0);
    expect(membership.forgetUser(nobody)).toBe(0);
    expect(membership.forgetUser(1_000_000 as UserNo)).toBe(0);
    expect(membership.mutual([alice], 0, 1).count).toBe(0);
    expect([membership.count, membership.bitmapCount, membership.fault()]).toEqual([9, 0, undefined]);
    expect([...membership.mutual([bob], 0, 10).rooms.subarray(0, 9)]).toEqual(rooms.slice(0, 9));
    for (const room of rooms.slice(3, 5)) expect(membership.set(alice, room, true)).toBe(true);
    expect([...membership.mutual([alice, bob], 0, 10).rooms.subarray(0, 2)]).toEqual(rooms.slice(3, 5));
  });

  test('forgetRoom goes over the users that it is told, in steps', () => {
    const membership = new Membership(handles());
    const [left, right] = [3, 9] as RoomNo[];
    for (let user = 1; user <= 10_000; user += 1) {
      membership.set(user as UserNo, left, true);
      if (user % 2 === 1) membership.set(user as UserNo, right, true);
    }
    const shares = (one: number, other: number): boolean => membership.shares(one as UserNo, other as UserNo);
    expect(membership.forgetRoom(left, 0, 1)).toBe(0);
    expect(membership.forgetRoom(left, 0, 4000)).toBe(3999);
    expect([shares(9999, 3999), shares(9999, 4000), shares(9999, 10_000)]).toEqual([true, true, true]);
    expect([shares(10_000, 3998), shares(10_000, 4000)]).toEqual([false, true]);
    expect(membership.forgetRoom(left, 4000, 10_000)).toBe(6000);
    expect(membership.forgetRoom(left, 10_000, 1_000_000)).toBe(1);
    expect(membership.forgetRoom(left, 0, 1_000_000)).toBe(0);
    expect([membership.count, membership.fault()]).toEqual([5000, undefined]);
    expect([...membership.mutual([1, 9999] as UserNo[], 0, 10).rooms.subarray(0, 1)]).toEqual([right]);
  });

  test('its rooms are told of every member, also of those that were restored and of users that are forgotten', () => {
    const rooms = new Rooms();
    const membership = new Membership(handles(), rooms);
    const all = roomsOf(packedCountMax + 50, 4);
    const model = new Map<number, Set<number>>(all.map((room) => [room, new Set()]));
    for (const [user, step] of [
      [1, 1],
      [2, 3],
      [3, 7],
    ]) {
      const his = all.filter((_, index) => index % step === 0);
      membership.restore(user as UserNo, Uint32Array.from(his), his.length);
      for (const room of his) model.get(room)!.add(user);
    }
    const random = seededRandom(8);
    for (let step = 0; step < 5000; step += 1) {
      const [user, room, joined] = [1 + random(5), all[random(all.length)], random(2) === 0];
      membership.set(user as UserNo, room as RoomNo, joined);
      if (joined) model.get(room)!.add(user);
      else model.get(room)!.delete(user);
    }
    const expectRooms = (): void => {
      for (const [room, members] of model) {
        const sequence = room - firstRoomOf(partitionOf(room as RoomNo));
        const count = rooms.members(partitionOf(room as RoomNo)).at(sequence) ?? 0;
        if (count !== members.size) expect.fail(`room ${room}: ${count}, not ${members.size}`);
      }
      expect(rooms.count).toBe([...model.values()].filter(({ size }) => size > 0).length);
    };
    expectRooms();
    for (const user of [1, 4]) {
      membership.forgetUser(user as UserNo);
      for (const members of model.values()) members.delete(user);
      expectRooms();
    }
    membership.forgetRoom(all[0] as RoomNo, 0, 10);
    model.get(all[0])!.clear();
    expectRooms();
  });

  test('nothing to restore is nobody', () => {
    const membership = new Membership(handles());
    membership.restore(5 as UserNo, new Uint32Array(3), 0);
    expect([membership.count, membership.fault()]).toEqual([0, undefined]);
    expect(membership.usersHere().every((word) => word === 0)).toBe(true);
  });

  test('a bot, partition by partition, among 1,000 users', () => {
    const restored = new Membership(handles());
    const rooms = roomsOf(20_000, 1);
    const all = pieces(rooms, 1);
    expect(all.length).toBe(64);
    for (const [at, piece] of all.entries()) {
      restored.restore(7 as UserNo, Uint32Array.from(piece), piece.length);
      for (let number = 100 + at; number < 1100; number += 64)
        restored.restore(number as UserNo, Uint32Array.of(at, rooms[number]), 2);
    }
    expect(restored.count).toBe(20_000 + 2000);
    expect(restored.fault()).toBeUndefined();
    expect(restored.bitmapCount).toBe(1);
    const page = restored.mutual([7 as UserNo], 0, roomsPerPageMax);
    expect([page.count, ...page.rooms.subarray(0, 9)]).toEqual([20_000, ...rooms.slice(0, 9)]);
    for (let number = 100; number < 1100; number += 1)
      expect(restored.shares(7 as UserNo, number as UserNo)).toBe(true);
  });
});
