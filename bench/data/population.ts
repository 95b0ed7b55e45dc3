/**
 * A made-up homeserver of any size, skewed as real ones are, that streams: what a user is joined to is worked out from
 * the seed and the user's number alone, so memory does not grow with users or memberships, and any part can be made
 * anew, in any order, in any process.
 *
 * How it is made, with the parameters below:
 * - How many rooms a user draws follows a power law, P(at least k) = k^-`userTail`, cut at `userRoomsMax`. Most draw one
 *   to three; the mean is about ten.
 * - Rooms fall into communities of very different sizes (Pareto, `communityTail`, about `communityRoomsMean` rooms). A user
 *   has a home community, large and popular ones likelier (`communitySkew`), and one more for every `roomsPerCommunity`
 *   rooms; `publicShare` of the draws are the public rooms of the whole network (`publicRooms` of all). Within each, the
 *   first rooms are far likelier than the last (density 1/rank): halls and back rooms. So members of a room share others.
 * - Direct rooms (`directShare` of all rooms) have two members each.
 * - Bots and bridges (one for `usersPerBot` users, at least two) are in very many rooms, taken evenly from all:
 *   the first two in `botRoomsMax` or a tenth of all rooms, the n-th in n^-0.8 of that.
 * A draw that meets a room a second time is drawn again a few times, so heavy users end up with a little less.
 *
 * Cost: about 0.3 µs a membership, and 8 bytes a room.
 */
import { Prng } from '../../src/source/demo/prng.js';

export const populationParameters = {
  userTail: 0.975,
  userRoomsMax: 5_000,
  communityTail: 1.1,
  communityRoomsMean: 60,
  communitySkew: 4,
  roomsPerCommunity: 40,
  publicShare: 0.2,
  publicRooms: 0.01,
  directShare: 0.4,
  usersPerBot: 50_000,
  botRoomsMax: 100_000,
} as const;

const parameters = populationParameters;

/** Draws of one room before it is given up. */
const redrawsMax = 8;

export interface PopulationOptions {
  readonly users: number;
  readonly rooms: number;
  readonly seed?: number;
}

export class Population {
  readonly users: number;
  readonly rooms: number;
  readonly seed: number;
  /** The last users are bots. */
  readonly bots: number;
  readonly #publicEnd: number;
  readonly #directStart: number;
  /** First room of each community, and one past the last. */
  readonly #communities: Uint32Array;
  /** Marks what the user at hand has, without being cleared: the user who last drew the room. */
  readonly #drawnBy: Uint32Array;
  #drawing = 0;
  readonly #scratch: Uint32Array;
  readonly #directSlot: Permutation;

  constructor({ users, rooms, seed = 1 }: PopulationOptions) {
    this.users = users;
    this.rooms = rooms;
    this.seed = seed;
    this.bots = Math.max(2, Math.floor(users / parameters.usersPerBot));
    this.#publicEnd = Math.max(1, Math.floor(rooms * parameters.publicRooms));
    this.#directStart = rooms - Math.floor(rooms * parameters.directShare);
    this.#communities = makeCommunities(this.#publicEnd, this.#directStart, new Prng(seed));
    this.#drawnBy = new Uint32Array(rooms);
    this.#scratch = new Uint32Array(this.roomsPerUserMax);
    this.#directSlot = new Permutation(users - this.bots, seed);
  }

  /** The most rooms that one user can be in. */
  get roomsPerUserMax(): number {
    return Math.max(parameters.userRoomsMax + 1, this.#botRooms(0));
  }

  isBot(user: number): boolean {
    return user >= this.users - this.bots;
  }

  /** @returns a view of the user's rooms, distinct and in no order, that the next call overwrites */
  roomsOf(user: number): Uint32Array {
    this.#drawing += 1;
    const count = this.isBot(user) ? this.#drawBot(user) : this.#drawPerson(user);
    return this.#scratch.subarray(0, count);
  }

  /** The community that most of a person's rooms are in; the same for two users who probably know each other. */
  homeOf(user: number): number {
    return this.#homeCommunity(new Prng(mix(user, this.seed)));
  }

  userId(user: number): string {
    const drawn = mix(user, this.seed ^ 0x5bd1e995);
    const given = givenNames[drawn % givenNames.length];
    const kind = (drawn >>> 8) % 100;
    // Over half on one server, a quarter ghosts of bridges, the others on a tail of small servers.
    if (kind < 55) return `@${given}${user.toString(36)}:matrix.example`;
    if (kind < 80) return `@_chat_9${user.toString().padStart(17, '0')}:bridge.example`;
    return `@${given}.${user.toString(36)}:${serverName(drawn)}`;
  }

  roomId(room: number): string {
    const random = new Prng(mix(room, this.seed ^ 0x2545f491));
    // One room in eight is of version 12, whose ID is a hash without a domain.
    if (room % 8 === 7) return `!${text(random, 37)}${letters62(room, 6)}`;
    const server = random.below(100) < 40 ? 'matrix.example' : serverName(mix(room, this.seed));
    return `!${text(random, 12)}${letters62(room, 6)}:${server}`;
  }

  #drawPerson(user: number): number {
    const random = new Prng(mix(user, this.seed));
    const home = this.#homeCommunity(random);
    const wanted = Math.min(parameters.userRoomsMax, Math.floor(random.pareto(1, parameters.userTail)));
    const communities = 1 + Math.floor(wanted / parameters.roomsPerCommunity);
    let count = 0;
    for (let draw = 0; draw < wanted; draw += 1) {
      for (let redraw = 0; redraw < redrawsMax; redraw += 1) {
        const room = this.#drawRoom(user, home, communities, random);
        if (this.#drawnBy[room] === this.#drawing) continue;
        this.#drawnBy[room] = this.#drawing;
        this.#scratch[count] = room;
        count += 1;
        break;
      }
    }
    const directRooms = this.rooms - this.#directStart;
    const slot = this.#directSlot.at(user);
    if (slot < directRooms * 2) this.#scratch[count++] = this.#directStart + (slot % directRooms);
    return count;
  }

  #drawRoom(user: number, home: number, communities: number, random: Prng): number {
    if (random.next() < parameters.publicShare) return random.skewedBelow(this.#publicEnd);
    const choice = random.below(communities);
    // Most of a user's other communities are again large ones: chosen by a room of theirs.
    const community = choice === 0 ? home : this.#communityOf(mix(user * 131 + choice, this.seed));
    const first = this.#communities[community];
    return first + random.skewedBelow(this.#communities[community + 1] - first);
  }

  #drawBot(user: number): number {
    const random = new Prng(mix(user, this.seed));
    const wanted = this.#botRooms(user - (this.users - this.bots));
    // One room of each of as many equal stretches: never the same twice.
    const stretch = this.rooms / wanted;
    for (let index = 0; index < wanted; index += 1)
      this.#scratch[index] = Math.floor(index * stretch) + random.below(Math.floor(stretch));
    return wanted;
  }

  #botRooms(rank: number): number {
    const most = Math.min(parameters.botRoomsMax, Math.floor(this.rooms / 10));
    return Math.max(1, Math.floor(most / Math.max(1, rank) ** 0.8));
  }

  #homeCommunity(random: Prng): number {
    return this.#communityOf(random.below(2 ** 32));
  }

  /** The community of a room drawn evenly, by bisection: large ones are likelier. @param drawn 32 bits */
  #communityOf(drawn: number): number {
    const communities = this.#communities;
    const first = communities[0];
    const room =
      first +
      Math.floor(
        (drawn / 2 ** 32) ** parameters.communitySkew * (communities[communities.length - 1] - first),
      );
    let low = 0;
    let high = communities.length - 1;
    while (low + 1 < high) {
      const middle = (low + high) >>> 1;
      if (communities[middle] <= room) low = middle;
      else high = middle;
    }
    return low;
  }
}

/** Shares rooms out to communities. @returns the first room of each, and `end` */
function makeCommunities(first: number, end: number, random: Prng): Uint32Array {
  const starts: number[] = [];
  const least = (parameters.communityRoomsMean * (parameters.communityTail - 1)) / parameters.communityTail;
  const roomsMax = Math.max(1, (end - first) / 20);
  for (let at = first; at < end;) {
    starts.push(at);
    at += Math.ceil(Math.min(random.pareto(least, parameters.communityTail), roomsMax));
  }
  return Uint32Array.from([...starts, end]);
}

/** A bijection of 0 to `size` - 1 that looks random: a Feistel network over the next power of four, walked until inside. */
class Permutation {
  readonly #size: number;
  readonly #seed: number;
  readonly #halfBits: number;

  constructor(size: number, seed: number) {
    this.#size = size;
    this.#seed = seed;
    this.#halfBits = Math.max(1, Math.ceil(Math.log2(size) / 2));
  }

  at(index: number): number {
    const mask = 2 ** this.#halfBits - 1;
    let value = index;
    do {
      let left = value >>> this.#halfBits;
      let right = value & mask;
      for (let round = 0; round < 4; round += 1) {
        [left, right] = [right, left ^ (mix(right, this.#seed + round) & mask)];
      }
      value = left * (mask + 1) + right;
    } while (value >= this.#size);
    return value;
  }
}

/** 32 well-mixed bits of two numbers (the finaliser of MurmurHash3). */
function mix(value: number, seed: number): number {
  let mixed = (value ^ Math.imul(seed, 0x9e3779b1)) >>> 0;
  mixed = Math.imul(mixed ^ (mixed >>> 16), 0x85ebca6b);
  mixed = Math.imul(mixed ^ (mixed >>> 13), 0xc2b2ae35);
  return (mixed ^ (mixed >>> 16)) >>> 0;
}

const givenNames =
  'anna ben carla dario elif finn greta hugo ines jonas kaja liam mila noah olga paul quinn rosa sami tara'.split(
    ' ',
  );
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789';

/** One of a thousand servers, small ones rarer. */
function serverName(drawn: number): string {
  const rank = Math.floor(1000 ** ((drawn >>> 12) / 2 ** 20));
  return `hs${rank}.example.org`;
}

function text(random: Prng, length: number): string {
  return random.text(length, alphabet);
}

/** The number in base 62, padded: what keeps IDs apart. */
function letters62(value: number, length: number): string {
  let rest = value;
  let letters = '';
  while (letters.length < length) {
    letters += alphabet[rest % alphabet.length];
    rest = Math.floor(rest / alphabet.length);
  }
  return letters;
}
