/**
 * A start with what a store holds, in a process of its own: opens it and loads an engine. How long, what of it, and how
 * much each thread had to do. Forked by the benches of the store.
 */
import { readFileSync } from 'node:fs';
import { UserShards } from '#dist/directory/user-shards';
import { loadEngine, statsOf } from '#dist/engine/engine';
import { ReloadedShard } from '#dist/shard/reloaded-shard';
import { LmdbStore } from '#dist/store/lmdb-store';
import { answerOrder } from '../child.js';
import { cpuByThread } from './threads.js';

export interface RestartOrder {
  readonly directory: string;
  readonly shards: number;
}

export interface Restart {
  readonly memberships: number;
  readonly users: number;
  readonly rooms: number;
  /** From the start of the process, node and tsx included, to the first answer. */
  readonly readySeconds: number;
  /** Before the store was opened. */
  readonly bootSeconds: number;
  readonly loadSeconds: number;
  readonly namesSeconds: number;
  /** Of the slowest shard. */
  readonly setsSeconds: number;
  readonly userShardsSeconds: number;
  /** Processor time: of the thread that reads names, and of the busiest others. */
  readonly mainCpuSeconds: number;
  readonly otherCpuSeconds: readonly number[];
  /** Without what is mapped of the file. */
  readonly memoryBytes: number;
}

/** Adds up what calls of a method take, by the clock. @returns the seconds of each call */
function timeCalls(prototype: object, name: string): number[] {
  const methods = prototype as Record<string, (...words: unknown[]) => unknown>;
  const method = methods[name];
  const seconds: number[] = [];
  methods[name] = function (this: unknown, ...words: unknown[]): unknown {
    const started = performance.now();
    const ended = (): void => void seconds.push((performance.now() - started) / 1000);
    const result = method.apply(this, words);
    if (result instanceof Promise) return result.finally(ended);
    ended();
    return result;
  };
  return seconds;
}

/** Linux only. Names are in shared memory. */
function memoryBytes(): number {
  for (let round = 0; round < 4; round += 1) globalThis.gc?.();
  const status = readFileSync('/proc/self/status', 'utf8');
  return ['RssAnon', 'RssShmem']
    .map((name) => Number(new RegExp(`${name}:\\s+(\\d+) kB`).exec(status)?.[1]) * 1024)
    .reduce((sum, each) => sum + each, 0);
}

async function measure({ directory, shards }: RestartOrder): Promise<Restart> {
  const names = timeCalls(LmdbStore.prototype, 'restoreNames');
  const sets = timeCalls(ReloadedShard.prototype, 'load');
  const userShards = timeCalls(UserShards.prototype, 'addAll');
  const before = cpuByThread();
  const started = performance.now();
  const store = await LmdbStore.open({ directory });
  const engine = await loadEngine(store, { shards, onProgress: () => undefined });
  await engine.answerer.mutual(['@anybody:example.org', '@nobody:example.org']);
  const ended = performance.now();
  const { mainCpuSeconds, otherCpuSeconds } = cpuByThread(before);
  const { memberships, usersKnown, roomsKnown } = await statsOf(engine);
  const answer = {
    ...{ memberships, users: usersKnown, rooms: roomsKnown },
    readySeconds: ended / 1000,
    bootSeconds: started / 1000,
    loadSeconds: (ended - started) / 1000,
    namesSeconds: Math.max(...names),
    setsSeconds: Math.max(...sets),
    userShardsSeconds: userShards.reduce((sum, each) => sum + each, 0),
    ...{ mainCpuSeconds, otherCpuSeconds },
    memoryBytes: memoryBytes(),
  };
  await engine.shards.close();
  await store.close();
  return answer;
}

await answerOrder(measure);
