/**
 * Who asks about whom? A believable mix of pairs of users, with the seed's draw of them:
 *
 *   60 %  two members of one room: a client opens the profile of somebody it sees there
 *   20 %  two people drawn evenly: an invite or a search result from somebody far away
 *   10 %  a person and a user ID that nobody has seen
 *    8 %  a person and one of the heaviest hundredth of users
 *    2 %  a bot or bridge and anybody, every tenth time another bot
 *
 * Half of those who ask are drawn by their memberships (who is in more rooms asks more), half evenly.
 * IDs are fresh strings, as a request brings them: flat, and not hashed yet.
 */
import { seededRandom, type Random } from '../harness.js';
import type { Population } from './population.js';

/** User numbers of a population; -1 is a user that it does not have. */
export interface Pair {
  readonly asker: number;
  readonly other: number;
}

/** People looked at for one who is in the asker's room, before the mix takes whoever comes. */
const matesTriedMax = 60;
const searchesMax = 20_000;
const sampleSize = 20_000;

export function drawPairs(population: Population, count: number, seed = 7): Pair[] {
  const draw = new PairDraw(population, seededRandom(seed));
  return Array.from({ length: count }, () => draw.next());
}

class PairDraw {
  readonly #population: Population;
  readonly #random: Random;
  readonly #people: number;
  /** A sample of people, the ones in most rooms first. */
  readonly #sample: { readonly user: number; readonly rooms: number }[];
  /** How many memberships the sample has up to each of them. */
  readonly #memberships: Uint32Array;

  constructor(population: Population, random: Random) {
    this.#population = population;
    this.#random = random;
    this.#people = population.users - population.bots;
    this.#sample = Array.from({ length: Math.min(this.#people, sampleSize) }, () => {
      const user = random(this.#people);
      return { user, rooms: population.roomsOf(user).length };
    }).sort((left, right) => right.rooms - left.rooms);
    let sum = 0;
    this.#memberships = Uint32Array.from(this.#sample, ({ rooms }) => (sum += rooms));
  }

  next(): Pair {
    const random = this.#random;
    const asker = random(2) === 0 ? random(this.#people) : this.#byMemberships();
    const kind = random(100);
    if (kind < 60) return { asker, other: this.#mateOf(asker) };
    if (kind < 80) return { asker, other: this.#otherThan(asker) };
    if (kind < 90) return { asker, other: -1 };
    if (kind < 98) return { asker, other: this.#sample[random(Math.ceil(this.#sample.length / 100))].user };
    const bot = this.#people + random(this.#population.bots - 1);
    return { asker: random(10) === 0 ? bot + 1 : asker, other: bot };
  }

  #byMemberships(): number {
    const drawn = this.#random(this.#memberships[this.#memberships.length - 1]);
    return this.#sample[this.#memberships.findIndex((sum) => sum > drawn)].user;
  }

  #otherThan(asker: number): number {
    return (asker + 1 + this.#random(this.#people - 1)) % this.#people;
  }

  /** Somebody of the asker's community, if possible one who is in a certain room of the asker's. */
  #mateOf(asker: number): number {
    const rooms = this.#population.roomsOf(asker);
    const room = rooms[this.#random(rooms.length)];
    const home = this.#population.homeOf(asker);
    let mate = this.#otherThan(asker);
    let tried = 0;
    for (let search = 0; search < searchesMax && tried < matesTriedMax; search += 1) {
      const other = this.#otherThan(asker);
      if (this.#population.homeOf(other) !== home) continue;
      mate = other;
      tried += 1;
      if (this.#population.roomsOf(other).includes(room)) break;
    }
    return mate;
  }
}

/** A string that no engine has hashed or interned yet. */
export function fresh(text: string): string {
  return Buffer.from(text, 'latin1').toString('latin1');
}

/** The user ID of one of a pair. */
export function userIdOf(population: Population, user: number): string {
  return fresh(user === -1 ? '@nobody.was.ever.here:hs7.example.org' : population.userId(user));
}
