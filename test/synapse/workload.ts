/**
 * Users of a homeserver who do what changes memberships, and what does not: several clients at once, each drawing what it does
 * next from its own seeded sequence. How they interleave is up to the machine, so a seed repeats what is asked for, not the outcome.
 *
 * Invariant: an operation that the homeserver refuses, or that fails in an outage, is counted and nothing else; the homeserver
 * is the only one who knows what holds.
 * Cost: 20 to 200 ms of one core for each operation.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { seededRandom, type Random } from '../model/random.js';
import { MatrixAnswerError, register, type MatrixClient } from './matrix-client.js';
import type { TestHomeserver } from './test-homeserver.js';

export interface WorkloadOptions {
  readonly seed: number;
  readonly users: number;
  readonly rooms: number;
}

const operations = {
  join: 50,
  leave: 12,
  kick: 4,
  ban: 3,
  unban: 8,
  invite: 4,
  create: 5,
  rename: 5,
  send: 8,
  upgrade: 2,
  purge: 1,
  deactivate: 1,
} as const;

type Operation = keyof typeof operations;

const names = Object.keys(operations) as Operation[];
const weightsInAll = names.reduce((sum, name) => sum + operations[name], 0);

const clientsAtOnce = 6;
const pauseMs = 100;
const outageMsMax = 180_000;
const roomVersions = ['10', '11', '12'];

interface Room {
  readonly id: string;
  readonly creator: MatrixClient;
}

export class Workload {
  readonly #homeserver: TestHomeserver;
  readonly #options: WorkloadOptions;
  readonly #admin: MatrixClient;
  readonly #clients: MatrixClient[] = [];
  readonly #gone: string[] = [];
  readonly #rooms: Room[] = [];
  #registered = 0;
  #runs = 0;
  /** By outcome and operation, for whoever reads a failure. */
  readonly counts = { done: new Map<string, number>(), refused: new Map<string, number>(), failed: 0 };

  private constructor(homeserver: TestHomeserver, options: WorkloadOptions, admin: MatrixClient) {
    this.#homeserver = homeserver;
    this.#options = options;
    this.#admin = admin;
  }

  /** Registers the users and makes the first rooms. */
  static async open(homeserver: TestHomeserver, options: WorkloadOptions): Promise<Workload> {
    const admin = await register(homeserver.synapse, 'workload-admin', true);
    const workload = new Workload(homeserver, options, admin);
    for (let user = 0; user < options.users; user++) await workload.#register();
    const random = seededRandom(options.seed);
    for (let room = 0; room < options.rooms; room++) await workload.#create(random);
    return workload;
  }

  /** Users with a session; those of deactivated ones are over. */
  get clients(): readonly MatrixClient[] {
    return this.#clients;
  }

  /** Everybody, also those that are deactivated. */
  get userIds(): string[] {
    return [...this.#clients.map(({ userId }) => userId), ...this.#gone];
  }

  get done(): number {
    return [...this.counts.done.values()].reduce((sum, count) => sum + count, 0);
  }

  /**
   * Does so many operations at least, and goes on until `meanwhile` is over.
   * @throws when the homeserver fails for three minutes without a break: its own locks last two after a connection was lost
   */
  async run(operationCount: number, meanwhile: () => Promise<void> = async () => {}): Promise<void> {
    this.#runs += 1;
    let left = operationCount;
    let isOver = false;
    const beside = meanwhile().finally(() => (isOver = true));
    const clients = Array.from({ length: clientsAtOnce }, async (_, client) => {
      const random = seededRandom(this.#options.seed + 1_000 * this.#runs + client);
      let workedAt = performance.now();
      while (left > 0 || !isOver) {
        if (await this.#attempt(random)) {
          left -= 1;
          workedAt = performance.now();
        } else if (performance.now() - workedAt > outageMsMax) {
          throw new Error(`the homeserver fails: ${this.#homeserver.synapse.lastWords('main')}`);
        } else await sleep(pauseMs);
      }
    });
    const outcomes = await Promise.allSettled([...clients, beside]);
    for (const outcome of outcomes) if (outcome.status === 'rejected') throw outcome.reason;
  }

  /** @returns false when it failed, which a refusal does not count as */
  async #attempt(random: Random): Promise<boolean> {
    const name = drawOperation(random);
    try {
      await this.#do(name, random);
      add(this.counts.done, name);
    } catch (error) {
      if (error instanceof MatrixAnswerError && error.status < 500) add(this.counts.refused, name);
      else if (error instanceof MatrixAnswerError || isOutage(error)) {
        this.counts.failed += 1;
        return false;
      } else throw error;
    }
    return true;
  }

  async #do(name: Operation, random: Random): Promise<void> {
    const client = pick(this.#clients, random);
    const room = pick(this.#rooms, random);
    switch (name) {
      case 'join':
        return client.join(room.id);
      case 'leave':
        return client.leave((await this.#roomOf(client, random)).id);
      case 'kick': {
        const { id, creator } = await this.#roomOf(client, random);
        return creator.kick(id, client.userId);
      }
      case 'ban': {
        const { id, creator } = await this.#roomOf(client, random);
        return creator.ban(id, client.userId);
      }
      case 'unban':
        return room.creator.unban(room.id, client.userId);
      case 'invite':
        return room.creator.invite(room.id, client.userId);
      case 'create':
        return this.#create(random);
      case 'rename':
        return client.rename(`name ${random(1_000)}`);
      case 'send':
        return room.creator.send(room.id, 'a message takes an id of the stream, and changes no membership');
      case 'upgrade': {
        const id = await room.creator.upgrade(room.id, pick(roomVersions, random));
        this.#rooms.push({ id, creator: room.creator });
        return;
      }
      case 'purge':
        this.#rooms.splice(this.#rooms.indexOf(room), 1);
        await this.#admin.purge(room.id);
        return this.#create(random);
      case 'deactivate':
        // Whoever does something else in this account at the same time is refused.
        this.#clients.splice(this.#clients.indexOf(client), 1);
        this.#gone.push(client.userId);
        await this.#admin.deactivate(client.userId);
        return this.#register();
    }
  }

  /** One that the client is in, if there is one. */
  async #roomOf(client: MatrixClient, random: Random): Promise<Room> {
    const joined = new Set(await client.joinedRooms());
    const rooms = this.#rooms.filter(({ id }) => joined.has(id));
    return pick(rooms.length === 0 ? this.#rooms : rooms, random);
  }

  async #create(random: Random): Promise<void> {
    const creator = pick(this.#clients, random);
    const id = await creator.createRoom({ room_version: pick(roomVersions, random) });
    this.#rooms.push({ id, creator });
  }

  async #register(): Promise<void> {
    this.#registered += 1;
    this.#clients.push(await register(this.#homeserver.synapse, `user${this.#registered}`));
  }
}

function drawOperation(random: Random): Operation {
  let left = random(weightsInAll);
  for (const name of names) {
    left -= operations[name];
    if (left < 0) return name;
  }
  throw new Error('the weights do not add up');
}

function pick<Item>(items: readonly Item[], random: Random): Item {
  return items[random(items.length)];
}

function add(counts: Map<string, number>, name: string): void {
  counts.set(name, (counts.get(name) ?? 0) + 1);
}

/** The homeserver is down, or did not answer in time: what `fetch` throws then. */
function isOutage(error: unknown): boolean {
  return error instanceof TypeError || (error instanceof DOMException && error.name === 'TimeoutError');
}
