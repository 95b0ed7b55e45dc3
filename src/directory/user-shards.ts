/**
 * Which shards can hold rooms of a user: one byte a user, so that only shards that can answer are asked. Most users are
 * in one to three rooms, and so in few shards.
 *
 * A bit is set before the join that it stands for reaches a shard, and not cleared when the last room of a shard is left:
 * a bit too many costs a question, one too few would cost an answer. Up to eight shards have a bit each; beyond that,
 * neighbours share one. A single shard has every user, and nothing is kept.
 *
 * One thread writes; others open the same memory. A byte is whole at any time, and a chunk has its readers before it is filled.
 */
import type { UserNo } from '../base/ids.js';
import { Publisher, Subscriber, type Subscription } from './publication.js';

const chunkBits = 16;
const chunkUsers = 2 ** chunkBits;
const bitCount = 8;

/** What a reader in another thread begins with: `UserShards.open` takes it. */
export interface UserShardsSubscription {
  readonly shardCount: number;
  readonly growth: Subscription<Uint8Array>;
}

export class UserShards {
  readonly #shardCount: number;
  readonly #chunks: Uint8Array[] = [];
  readonly #bits: Uint8Array;
  readonly #isSingle: boolean;
  readonly #publisher = new Publisher<Uint8Array>();
  /** Of a reader. */
  #subscriber: Subscriber<Uint8Array> | undefined;

  /** What another thread writes, as `subscribe` gave it. */
  static open({ shardCount, growth }: UserShardsSubscription): UserShards {
    const shards = new UserShards(shardCount);
    shards.#subscriber = new Subscriber(growth, (chunk) => void shards.#chunks.push(chunk));
    return shards;
  }

  /** @param shardCount at least one */
  constructor(shardCount: number) {
    this.#shardCount = shardCount;
    this.#isSingle = shardCount === 1;
    this.#bits = Uint8Array.from({ length: shardCount }, (_, shard) =>
      shardCount <= bitCount ? 1 << shard : 1 << Math.floor((shard * bitCount) / shardCount),
    );
  }

  /** The user may have rooms in this shard from now on. */
  add(user: UserNo, shard: number): void {
    if (this.#isSingle) return;
    const index = user >>> chunkBits;
    while (this.#chunks.length <= index) {
      const chunk = new Uint8Array(new SharedArrayBuffer(chunkUsers));
      this.#chunks.push(chunk);
      this.#publisher.post(chunk);
    }
    this.#chunks[index][user & (chunkUsers - 1)] |= this.#bits[shard];
  }

  /** The same for many. @param users bit u of word u/32 is the user u */
  addAll(users: Uint32Array, shard: number): void {
    if (this.#isSingle) return;
    for (let word = 0; word < users.length; word += 1)
      for (let bits = users[word]; bits !== 0; bits &= bits - 1)
        this.add((word * 32 + 31 - Math.clz32(bits & -bits)) as UserNo, shard);
  }

  /** The shards of a user: what `has` and `shared` take. */
  of(user: number): number {
    if (this.#isSingle) return this.#bits[0];
    const chunk = this.#chunks[user >>> chunkBits] as Uint8Array | undefined;
    return chunk === undefined ? 0 : chunk[user & (chunkUsers - 1)];
  }

  /** The shards in which all of these users may have rooms. @param users at least one */
  shared(users: ArrayLike<number>): number {
    let shards = this.of(users[0]);
    for (let index = 1; index < users.length; index += 1) shards &= this.of(users[index]);
    return shards;
  }

  has(shards: number, shard: number): boolean {
    return (shards & this.#bits[shard]) !== 0;
  }

  /** Those of many users that may have rooms in a shard, as their places in the list. */
  whoMayBeIn(shard: number, users: ArrayLike<number>): Uint32Array {
    const places = new Uint32Array(users.length);
    let end = 0;
    for (let place = 0; place < users.length; place += 1)
      if (this.has(this.of(users[place]), shard)) places[end++] = place;
    return places.subarray(0, end);
  }

  /** Writer's side: what a reader in another thread begins with; `growth.port` is to be transferred to it. */
  subscribe(): UserShardsSubscription {
    return { shardCount: this.#shardCount, growth: this.#publisher.subscribe(this.#chunks.slice()) };
  }

  /** Reader's side: sees what was written before this call. */
  renew(): void {
    this.#subscriber?.renew();
  }

  close(): void {
    this.#subscriber?.close();
  }

  get bytes(): number {
    return this.#chunks.length * chunkUsers;
  }
}
