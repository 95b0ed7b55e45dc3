/**
 * One pool of one thread a shard, or one pool for all shards with a `loadBalancer`? And what does batching save?
 *
 * The tasks are a shard's own (dist/shard/worker.js), on empty shards: what is timed is the way there and back.
 */
import type { MessagePort } from 'node:worker_threads';
import { Piscina } from 'piscina';
import { roomNames } from '#dist/directory/interner';
import type { ShardTask } from '#dist/shard/wire';
import { formatNanoseconds, printTable, relativeTime, type RunOptions } from './harness.js';
import { noteVerdict } from './verdict.js';

const filename = new URL('../dist/shard/worker.js', import.meta.url).href;
const shards = 2;
const underWay = 2;

/** A page of two users who are in no room, as shard/wire.ts lays it out. */
const question = [1, 0, 100, 1, 2, 1, 2];

interface Contestant {
  run(shard: number, task: ShardTask, ports?: MessagePort[]): Promise<unknown>;
  close(): Promise<void>;
}

function poolEach(): Contestant {
  const pools = Array.from(
    { length: shards },
    () =>
      new Piscina({
        filename,
        minThreads: 1,
        maxThreads: 1,
        concurrentTasksPerWorker: underWay,
        stricterFIFO: true,
        recordTiming: false,
      }),
  );
  return {
    run: (shard, task, ports = []) => pools[shard].run(task, { transferList: ports }),
    close: async () => {
      await Promise.all(pools.map((pool) => pool.destroy()));
    },
  };
}

function poolForAll(): Contestant {
  const shardOf = Symbol('shard');
  const ids: number[] = [];
  const pool: Piscina = new Piscina({
    filename,
    minThreads: shards,
    maxThreads: shards,
    concurrentTasksPerWorker: underWay,
    stricterFIFO: true,
    recordTiming: false,
    loadBalancer: (task, workers) => {
      const shard =
        (task as unknown as Record<symbol, Record<symbol, number> | undefined>)[Piscina.queueOptionsSymbol]?.[
          shardOf
        ] ?? 0;
      const worker = workers.find(({ id }) => id === ids[shard]) ?? null;
      return worker !== null && worker.currentUsage < underWay ? worker : null;
    },
  });
  ids.push(...pool.threads.map((thread) => thread.threadId));
  return {
    run: (shard, task, ports = []) =>
      pool.run(Object.assign(task, { [Piscina.queueOptionsSymbol]: { [shardOf]: shard } }), {
        transferList: ports,
      }),
    close: () => pool.destroy(),
  };
}

/** @returns nanoseconds a question, with `batch` questions in a task and two tasks under way at each shard */
async function time(contestant: Contestant, batch: number, questions: number): Promise<number> {
  const numbers = Uint32Array.from(Array.from({ length: batch }, () => question).flat());
  const tasks = Math.ceil(questions / batch / shards / underWay);
  const lane = async (shard: number): Promise<void> => {
    for (let task = 0; task < tasks; task += 1)
      await contestant.run(shard, { kind: 'ask', questions: numbers });
  };
  const started = performance.now();
  await Promise.all(Array.from({ length: shards * underWay }, (_, index) => lane(index % shards)));
  return ((performance.now() - started) * 1e6) / (tasks * shards * underWay * batch);
}

export async function run({ smoke }: RunOptions): Promise<void> {
  const questions = smoke ? 2_000 : 40_000;
  const rounds = smoke ? 1 : 5;
  const contestants = [poolEach(), poolForAll()];
  for (const contestant of contestants) {
    for (let shard = 0; shard < shards; shard += 1) {
      const names = roomNames().subscribe();
      const task: ShardTask = { kind: 'open', partitions: { first: 0, end: 64 }, names };
      await contestant.run(shard, task, [names.growth.port]);
    }
  }
  const rows: string[][] = [];
  for (const batch of [1, 8, 64, 512]) {
    const times = contestants.map(() => [] as number[]);
    for (let round = 0; round < rounds; round += 1) {
      for (const [index, contestant] of contestants.entries())
        times[index].push(await time(contestant, batch, questions));
    }
    const [each, all] = times.map((values) => values.sort((left, right) => left - right)[values.length >> 1]);
    noteVerdict(`a task of ${batch} questions to a thread and back`, [
      { name: 'a pool for each shard (as here)', cost: each },
      { name: 'one pool for all', cost: all },
    ]);
    rows.push([`${batch} a task`, formatNanoseconds(each), relativeTime(all / each)]);
  }
  for (const contestant of contestants) await contestant.close();
  printTable(
    'Time of a question there and back, two shards',
    ['questions', 'a pool a shard', 'one pool, loadBalancer'],
    rows,
  );
}
