/**
 * Asks for mutual rooms at a pace, whether or not the answers before have come, and keeps how long each took: what clients notice
 * while something else happens. Cost: some 100 µs of the caller's thread for a question.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import { Pool } from 'undici';
import { Latencies, type Distribution } from '../scale/latencies.js';

const connections = 16;
const answersMax = 1_000_000;

export interface Question {
  readonly token: string;
  readonly userId: string;
}

export interface Answered {
  /** Why, and how often: another status than 200, or no answer. */
  readonly failures: Readonly<Record<string, number>>;
  /** From sending a question to the end of its answer. */
  readonly latencies: Distribution;
}

export function pathOf(userId: string): string {
  return `/_matrix/client/v1/mutual_rooms?user_id=${encodeURIComponent(userId)}`;
}

export class PacedQuestions {
  readonly #pool: Pool;
  readonly #next: () => Question;
  readonly #latencies = new Latencies(answersMax);
  readonly #running: Promise<void>;
  readonly #underWay = new Set<Promise<void>>();
  #isOver = false;
  readonly #failures: Record<string, number> = {};

  /** Begins. */
  constructor(url: string, perSecond: number, next: () => Question) {
    this.#pool = new Pool(url, { connections });
    this.#next = next;
    this.#running = this.#run(perSecond);
  }

  async stop(): Promise<Answered> {
    this.#isOver = true;
    await this.#running;
    await Promise.all(this.#underWay);
    await this.#pool.close();
    return { failures: this.#failures, latencies: this.#latencies.distribution() };
  }

  async #run(perSecond: number): Promise<void> {
    const began = performance.now();
    for (let asked = 0; !this.#isOver; asked += 1) {
      const waitMs = began + (asked * 1000) / perSecond - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      const asking = this.#ask(this.#next()).finally(() => this.#underWay.delete(asking));
      this.#underWay.add(asking);
    }
  }

  async #ask({ token, userId }: Question): Promise<void> {
    const began = performance.now();
    try {
      const { statusCode, body } = await this.#pool.request({
        path: pathOf(userId),
        method: 'GET',
        headers: { authorization: `Bearer ${token}` },
      });
      await body.text();
      if (statusCode !== 200) this.#fail(`status ${statusCode}`);
      this.#latencies.add(performance.now() - began);
    } catch (error) {
      this.#fail(String(error));
    }
  }

  #fail(why: string): void {
    this.#failures[why] = (this.#failures[why] ?? 0) + 1;
  }
}
