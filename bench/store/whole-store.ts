/**
 * What goes over all of a store, each in a process of its own: the limit (reading the file, and a scan that looks at no
 * record), the check before a server opens it, and a compaction. Forked by the benches of the store.
 *
 * How to read it: the file is in the system's cache, as it is when a server is started again.
 */
import { closeSync, openSync, readSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { compactStore } from '#dist/store/compact';
import { probeStore } from '#dist/store/inspect';
import { storeFileName } from '#dist/store/layout';
import { Environment } from '#dist/store/lmdb';
import { answerOrder } from '../child.js';

export interface WholeStoreOrder {
  readonly directory: string;
  readonly work: keyof typeof works;
}

export interface WholeStore {
  readonly seconds: number;
  /** Of this process. */
  readonly cpuSeconds: number;
  /** Records of a scan; else 0. */
  readonly records: number;
  /** Of the file, afterwards. */
  readonly bytes: number;
}

const works = {
  async read(path: string): Promise<number> {
    const piece = Buffer.alloc(2 ** 20);
    const file = openSync(path, 'r');
    while (readSync(file, piece, 0, piece.length, null) > 0);
    closeSync(file);
    return 0;
  },

  async scan(path: string): Promise<number> {
    const environment = new Environment({ path, readOnly: true });
    const { userNames, roomNames, users, parts, recent } = environment;
    let records = 0;
    for (const table of [userNames, roomNames, users, parts, recent]) {
      const scan = table.scan({});
      while (scan.next() !== undefined) records += 1;
    }
    await environment.close();
    return records;
  },

  async probe(path: string): Promise<number> {
    await probeStore(path);
    return 0;
  },

  async compact(_: string, directory: string): Promise<number> {
    await compactStore({ directory });
    return 0;
  },
} as const;

async function measure({ directory, work }: WholeStoreOrder): Promise<WholeStore> {
  const path = join(directory, storeFileName);
  const cpu = process.cpuUsage();
  const started = performance.now();
  const records = await works[work](path, directory);
  const seconds = (performance.now() - started) / 1000;
  const { user, system } = process.cpuUsage(cpu);
  return { seconds, cpuSeconds: (user + system) / 1e6, records, bytes: statSync(path).size };
}

await answerOrder(measure);
