/**
 * The engine over worker threads, full: memory, load, and how many first pages a second it answers when many are asked at
 * once, as a server asks. Forked by bench/scale.ts.
 */
import { openEngine, statsOf } from '#dist/engine/engine';
import { numberChanges } from '#dist/engine/numbering';
import { answerOrder, residentBytes } from '../child.js';
import { drawPairs, userIdOf } from '../data/pairs.js';
import { Population } from '../data/population.js';
import { loadInto, type Loaded } from './loading.js';

export interface ShardedOrder {
  readonly users: number;
  readonly rooms: number;
  readonly shards: number;
  readonly pairs: number;
  readonly passes: number;
}

export interface ShardedAnswer {
  readonly loaded: Loaded;
  readonly residentBytes: number;
  readonly bytes: Readonly<Record<string, number>>;
  /** Questions a second, this many under way at once. */
  readonly firstPagesPerSecond: number;
  readonly underWay: number;
}

const underWay = 256;

async function measure({ users, rooms, shards, pairs, passes }: ShardedOrder): Promise<ShardedAnswer> {
  const population = new Population({ users, rooms });
  const engine = await openEngine({ shards });
  const { directory, answerer } = engine;
  const loaded = await loadInto(population, async (changes) =>
    engine.shards.follow(engine.shards.from, await numberChanges(directory, changes)),
  );
  const resident = residentBytes();
  const { bytes } = await statsOf(engine);
  const drawn = drawPairs(population, pairs);
  const rates: number[] = [];
  for (let pass = 0; pass <= passes; pass += 1) {
    const asked = drawn.map(({ asker, other }) => [userIdOf(population, asker), userIdOf(population, other)]);
    const started = performance.now();
    let next = 0;
    const lane = async (): Promise<void> => {
      while (next < asked.length) await answerer.mutualPage(asked[next++], 0, 100);
    };
    await Promise.all(Array.from({ length: underWay }, lane));
    if (pass > 0) rates.push((pairs / (performance.now() - started)) * 1000);
  }
  await engine.shards.close();
  return {
    ...{ loaded, residentBytes: resident, bytes, underWay },
    firstPagesPerSecond: rates.sort((left, right) => left - right)[rates.length >>> 1],
  };
}

await answerOrder(measure);
