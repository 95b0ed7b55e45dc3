/**
 * A made-up community, skewed as real ones are: for the demo, and for tests and benches that want believable load.
 *
 * People belong to circles whose rooms they share; a few public rooms hold a third of everybody and most rooms hold a
 * handful; a few people are in hundreds of rooms and most in a few; three bots are in most rooms. Two friends share
 * many rooms, and a stranger shares none with either.
 *
 * Invariant: the same options give the same changes. Cost: linear in the memberships, which are held while it lives.
 */
import { assert } from '../../base/assert.js';
import type { Change } from '../../base/change.js';
import { Prng } from './prng.js';
import { itemsPerBatchMax } from '../formats/bounds.js';

export interface CommunityOptions {
  /** At least 10. Default: 10,000. */
  readonly users?: number;
  /** At least 20. Default: 2,000. */
  readonly rooms?: number;
  /** Default: 1. */
  readonly seed?: number;
}

export interface Community {
  readonly userCount: number;
  readonly roomCount: number;
  readonly membershipCount: number;
  /** Two users who share many rooms. */
  readonly friends: readonly [string, string];
  /** A user who shares no room with either friend. */
  readonly stranger: string;
  /** A room that only the first friend is in. */
  readonly ownRoom: string;
  /** How many rooms the friends share. */
  readonly sharedCount: number;
  /** Every membership as a change to `join`, in batches. */
  changes(): Generator<Change[], void, undefined>;
}

const usersMin = 10;
const roomsMin = 20;

/** The first users are the ones with a part to play; bots come last. */
const alice = 0;
const bob = 1;
const stranger = 2;
const botCount = 3;

/** The first rooms are the stranger's, the one of alice alone, then the public ones. */
const strangerRoom = 0;
const aliceRoom = 1;
const firstPublicRoom = 2;

export function makeCommunity({ users = 10_000, rooms = 2000, seed = 1 }: CommunityOptions = {}): Community {
  assert(users >= usersMin, `a community has at least ${usersMin} users`);
  assert(rooms >= roomsMin, `a community has at least ${roomsMin} rooms`);
  const random = new Prng(seed);
  const userIds = makeUserIds(users, random);
  const roomIds = makeRoomIds(rooms, random);
  const roomsOf = joinAll(users, rooms, random);
  const shared = [...roomsOf[alice]].filter((room) => roomsOf[bob].has(room));
  return {
    userCount: users,
    roomCount: rooms,
    membershipCount: roomsOf.reduce((total, joined) => total + joined.size, 0),
    friends: [userIds[alice], userIds[bob]],
    stranger: userIds[stranger],
    ownRoom: roomIds[aliceRoom],
    sharedCount: shared.length,
    *changes() {
      let batch: Change[] = [];
      for (let user = 0; user < users; user++) {
        for (const room of roomsOf[user]) {
          batch.push({ userId: userIds[user], roomId: roomIds[room], joined: true });
          if (batch.length < itemsPerBatchMax) continue;
          yield batch;
          batch = [];
        }
      }
      if (batch.length > 0) yield batch;
    },
  };
}

/** The rooms of each user. */
function joinAll(users: number, rooms: number, random: Prng): Set<number>[] {
  const publicEnd = firstPublicRoom + Math.max(1, Math.round(rooms / 200));
  const directEnd = publicEnd + Math.round(rooms * 0.3);
  const firstBot = users - botCount;
  const circles = makeCircles(directEnd, rooms, Math.max(1, Math.round(rooms / 50)), random);
  const roomsOf = Array.from({ length: users }, () => new Set<number>());

  for (let user = 0; user < firstBot; user++) {
    const joined = roomsOf[user];
    if (user === stranger) continue;
    const friend = user === alice || user === bob;
    // Alice and bob are regulars of the same circle; everybody else is in one or a few.
    const own = friend
      ? [0]
      : Array.from({ length: 1 + random.skewedBelow(4) }, () => random.skewedBelow(circles.length));
    const wanted = friend ? rooms / 25 : random.pareto(2, 1.1);
    const count = Math.min(Math.ceil(wanted), Math.ceil(rooms / 4));
    for (let choice = 0; choice < count; choice++) {
      if (random.next() < 0.25) {
        joined.add(firstPublicRoom + random.skewedBelow(publicEnd - firstPublicRoom));
      } else {
        const circle = circles[own[random.skewedBelow(own.length)]];
        joined.add(circle.first + random.skewedBelow(circle.end - circle.first));
      }
    }
  }
  for (let room = publicEnd; room < directEnd; room++) {
    const members = 2 + Math.min(4, random.skewedBelow(5));
    for (let member = 0; member < members; member++) {
      const user = random.below(firstBot);
      if (user !== stranger) roomsOf[user].add(room);
    }
  }
  for (let bot = firstBot; bot < users; bot++) {
    for (let room = firstPublicRoom; room < rooms; room++) {
      if (random.next() < (room < directEnd && room >= publicEnd ? 0.1 : 0.8)) roomsOf[bot].add(room);
    }
  }
  // They share at least one, however small the community is.
  for (const [place, room] of [...roomsOf[alice]].entries()) {
    if (place === 0 || random.next() < 0.7) roomsOf[bob].add(room);
  }
  roomsOf[alice].add(aliceRoom);
  roomsOf[stranger].add(strangerRoom);
  return roomsOf;
}

interface Circle {
  readonly first: number;
  readonly end: number;
}

/** Shares the rooms out to circles of very different sizes, the largest first. */
function makeCircles(first: number, end: number, count: number, random: Prng): Circle[] {
  const weights = Array.from({ length: count }, () => random.pareto(1, 1.2)).sort(
    (left, right) => right - left,
  );
  const total = weights.reduce((sum, weight) => sum + weight, 0);
  const circles: Circle[] = [];
  let used = 0;
  let at = first;
  for (const weight of weights) {
    used += weight;
    const next = Math.max(at + 1, first + Math.round(((end - first) * used) / total));
    if (next > end) break;
    circles.push({ first: at, end: next });
    at = next;
  }
  return circles;
}

const servers = [
  'example.org',
  'example.org',
  'example.org',
  'matrix.example.com',
  'chat.example.net',
  'tuebingen.example',
];

const givenNames = (
  'anna ben carla dario elif finn greta hugo ines jonas kaja liam mila noah olga paul quinn rosa sami tara ' +
  'uwe vera wim xenia yusuf amina boris chloe david emma felix gina hana ivan julia karim lena marta nils oscar'
).split(' ');

const familyNames = (
  'adler brandt costa demir evans fischer garcia hansen ito jansen kowalski lopez meyer novak okoye petrov ' +
  'quist rossi silva tanaka ueda vogel weber xu yilmaz zhang'
).split(' ');

/** Distinct by construction: the user's number is part of every name that could come twice. */
function makeUserIds(users: number, random: Prng): string[] {
  const ids = ['@alice:example.org', '@bob:example.org', '@zoe:elsewhere.example'];
  while (ids.length < users - botCount) {
    const given = givenNames[random.below(givenNames.length)];
    const family = familyNames[random.below(familyNames.length)];
    ids.push(`@${given}.${family}${ids.length}:${servers[random.below(servers.length)]}`);
  }
  return [...ids, '@moderation-bot:example.org', '@feeds-bot:example.org', '@bridge-bot:matrix.example.com'];
}

const letters = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz';

/** One room in eight is of version 12, whose ID is a hash without a domain. */
function makeRoomIds(rooms: number, random: Prng): string[] {
  const ids = new Set<string>();
  while (ids.size < rooms) {
    const hashed = ids.size % 8 === 7;
    const server = servers[random.below(servers.length)];
    ids.add(
      hashed ? `!${random.text(43, `${letters}0123456789-_`)}` : `!${random.text(18, letters)}:${server}`,
    );
  }
  return [...ids];
}
