/**
 * Does a reader of the table see every entry that was made before it looked, and no half one, whenever it looks? Without
 * threads: it looks before and after every single write and post of the writer, which is each moment that another thread could meet.
 */
import { MessagePort } from 'node:worker_threads';
import { expect, onTestFinished, test, vi } from 'vitest';
import { HashTable, TableReader } from '../../src/directory/hash-table.js';
import { seededRandom } from '../model/random.js';

/** A look-up that takes more loads than this goes round for ever. */
const loadsMax = 100_000;

test('at every moment of 30,000 inserts, over enlargements, splits and larger roots', () => {
  const random = seededRandom(5);
  const table = new HashTable(() => false);
  const reader = new TableReader(table.subscribe());
  onTestFinished(() => {
    vi.restoreAllMocks();
    reader.close();
  });
  const known: number[] = [];
  let isLooking = false;
  let loads = 0;
  let looks = 0;

  const { load, store, add } = Atomics;
  vi.spyOn(Atomics, 'load').mockImplementation((...args: Parameters<typeof load>) => {
    loads += 1;
    if (isLooking && loads > loadsMax) throw new Error('a look-up goes round for ever');
    return load(...args);
  });

  const find = (hash: number): number => {
    loads = 0;
    return reader.find(hash, () => true);
  };
  const look = (): void => {
    if (isLooking) return;
    isLooking = true;
    looks += 1;
    // No entry has this hash: it is what a slot holds whose number came before its hash.
    if (find(0) !== -1) throw new Error('half an entry was seen');
    const newest = known.length - 1;
    for (const index of known.length === 0 ? [] : [newest, Math.max(0, newest - 1), random(known.length)])
      if (find(known[index]) !== index) throw new Error(`entry ${index} of ${known.length} was missed`);
    isLooking = false;
  };
  const watched = <Args extends unknown[], Result>(write: (...args: Args) => Result) =>
    function (this: unknown, ...args: Args): Result {
      look();
      const result = write.apply(this, args);
      look();
      return result;
    };
  vi.spyOn(Atomics, 'store').mockImplementation(
    watched(store as (...args: unknown[]) => unknown) as typeof store,
  );
  vi.spyOn(Atomics, 'add').mockImplementation(watched(add as (...args: unknown[]) => unknown) as typeof add);
  const post = MessagePort.prototype.postMessage as (...args: unknown[]) => void;
  vi.spyOn(MessagePort.prototype, 'postMessage').mockImplementation(watched(post));

  for (let number = 0; number < 30_000; number += 1) {
    // Never 0: an odd factor maps no other number there.
    const hash = Math.imul(number + 1, 2_654_435_761) >>> 0;
    table.insert(hash, number);
    known.push(hash);
    look();
  }
  expect(looks).toBeGreaterThan(90_000);
});
