/**
 * The store that keeps nothing (`data_dir: null`): a commit is safe as long as the process lives. Only the shards hold the
 * memberships, so a shard that dies cannot be loaded again.
 */
import { systemRandom, type RandomBytes } from '../base/clock.js';
import { PublicError } from '../base/errors.js';
import type { Draft } from '../log/commit.js';
import type { Identity, Store } from './store.js';

export class MemoryStore implements Store {
  readonly identity: Identity;
  readonly path = undefined;
  readonly state = undefined;
  readonly lostTo = undefined;
  readonly debt = 0;
  readonly bytes = 0;
  failure: string | undefined;
  last = 0;
  readonly #cursors = new Map<string, Uint8Array>();

  constructor(random: RandomBytes = systemRandom) {
    this.identity = { tokenKey: random(32), epoch: random(4).readUInt32BE(), earlier: [] };
  }

  cursor(source: string): Uint8Array | undefined {
    return this.#cursors.get(source);
  }

  async restoreNames(): Promise<void> {
    // There were none before this process.
  }

  async commit({ cursors }: Draft): Promise<number> {
    if (this.failure !== undefined) throw new PublicError('UNAVAILABLE', this.failure);
    for (const { source, value } of cursors) this.#cursors.set(source, Uint8Array.from(value));
    this.last += 1;
    return this.last;
  }

  async settle(): Promise<void> {
    // Nothing is put off.
  }

  async close(): Promise<void> {
    this.failure = 'the store is closed';
  }
}
