/** A Map of Sets of everybody, and this index, in one process and asked in turn. Forked by bench/scale.ts, with a heap to fit. */
import { answerOrder } from '../child.js';
import { comparePeers } from '../peers.js';

export interface MapOrder {
  readonly users: number;
  readonly rooms: number;
  readonly pairs: number;
}

await answerOrder(async ({ users, rooms, pairs }: MapOrder) =>
  comparePeers({
    ...{ users, rooms, pairCount: pairs, timeMs: 6_000, withMemory: false },
    without: ['bitmap', 'packed', 'redis', 'postgres'],
  }),
);
