/**
 * What else happens while lags are measured, in a process of its own: changes in other rooms, by three event persisters whose
 * commits overtake each other, and questions. Forked by bench/synapse/simulated-lag.ts, told what by one message, ended by another.
 */
import { setTimeout as sleep } from 'node:timers/promises';
import type { ClientConfig } from 'pg';
import { seededRandom } from '../harness.js';
import { PacedQuestions, type Answered } from './paced-questions.js';
import { StateWriter } from './state-writer.js';
import { WakeUp } from './wake-up.js';

export interface LoadOrder {
  readonly place: ClientConfig;
  readonly redis: { readonly port: number; readonly password: string } | null;
  readonly url: string;
  readonly token: string;
  readonly userIds: readonly string[];
  readonly roomIds: readonly string[];
  readonly changesPerSecond: number;
  readonly questionsPerSecond: number;
}

export interface LoadDone extends Answered {
  readonly changesPerSecond: number;
}

const persisters = 3;

/** Between taking an id and its commit, at most. */
const heldMsMax = 5;

async function load(order: LoadOrder): Promise<LoadDone> {
  const { url, token, userIds, roomIds, changesPerSecond, questionsPerSecond } = order;
  const ended = new Promise<void>((resolve) => process.once('message', () => resolve()));
  let isOver = false;
  void ended.then(() => (isOver = true));
  const began = performance.now();
  let changes = 0;
  const persist = async (persister: number): Promise<void> => {
    const random = seededRandom(persister + 1);
    const writer = await StateWriter.open(order.place, `load${persister}`);
    const wakeUp = order.redis === null ? undefined : await WakeUp.open(order.redis);
    for (let written = 0; !isOver; written += 1) {
      const waitMs = began + (written * persisters * 1000) / changesPerSecond - performance.now();
      if (waitMs > 0) await sleep(waitMs);
      const roomId = roomIds[random(roomIds.length)];
      await writer.write(roomId, userIds[random(userIds.length)], random(2) === 0, random(heldMsMax));
      await wakeUp?.changed(roomId);
      changes += 1;
    }
    await writer.close();
    wakeUp?.close();
  };
  const random = seededRandom(77);
  const questions = new PacedQuestions(url, questionsPerSecond, () => ({
    token,
    userId: userIds[random(userIds.length)],
  }));
  await Promise.all(Array.from({ length: persisters }, (_, persister) => persist(persister)));
  const seconds = (performance.now() - began) / 1000;
  return { ...(await questions.stop()), changesPerSecond: changes / seconds };
}

process.once('message', (order: LoadOrder) => {
  void load(order).then((done) => process.send?.(done, () => process.exit()));
  process.send?.('running');
});
