/**
 * Asks one question again and again, a millisecond apart, until the answer is what it should be: how soon a change is seen. One
 * connection of its own. Cost: about a tenth of a core while it asks.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Client } from 'undici';
import { pathOf } from './paced-questions.js';

const pauseMs = 1;
const seenMsMax = 20_000;

export class Asker {
  readonly #client: Client;
  readonly #token: string;
  readonly #path: string;

  constructor(url: string, token: string, otherId: string) {
    this.#client = new Client(url);
    this.#token = token;
    this.#path = pathOf(otherId);
  }

  /** @returns when the answer that first had the room, or had it no more, was there */
  async seen(roomId: string, isThere: boolean): Promise<number> {
    return until(async () => {
      const { statusCode, body } = await this.#client.request({
        path: this.#path,
        method: 'GET',
        headers: { authorization: `Bearer ${this.#token}` },
      });
      const text = await body.text();
      if (statusCode !== 200) throw new Error(`a question was answered ${statusCode}: ${text.slice(0, 200)}`);
      return text.includes(roomId) === isThere;
    });
  }

  async close(): Promise<void> {
    await this.#client.close();
  }
}

/** Asks until it is so. @returns when that was */
export async function until(isSo: () => Promise<boolean>): Promise<number> {
  const began = performance.now();
  for (;;) {
    const now = (await isSo()) ? performance.now() : undefined;
    if (now !== undefined) return now;
    if (performance.now() - began > seenMsMax) throw new Error('a change was not seen in time');
    await sleep(pauseMs);
  }
}
