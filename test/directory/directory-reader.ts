/**
 * What runs in a thread of the torture test: reads the directory without pause while another thread writes it, and says what it
 * found wrong. Node runs no TypeScript in a thread, so it is given as text, with the built modules.
 */
import { Worker } from 'node:worker_threads';
import { portsOf, type Directory } from '../../src/directory/directory.js';

const built = (name: string): string =>
  JSON.stringify(new URL(`../../dist/${name}.js`, import.meta.url).href);

/** The n-th user and room of the test; long and short, some that JSON and UTF-8 write otherwise. */
const nameText = `
  const padding = ['', 'é', '"\\\\', '☕'.repeat(9), 'x'.repeat(200)];
  const nameOf = (sigil, index) => sigil + index + padding[index % 5] + ':example.org';
`;

const program = `
  import { workerData, parentPort } from 'node:worker_threads';
  import { DirectoryReader } from ${built('directory/directory')};
  ${nameText}
  const { subscription, written, seed, shards } = workerData;
  const reader = new DirectoryReader(subscription);
  let state = seed;
  const random = (end) => {
    state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
    return state % end;
  };
  const faults = [];
  let looked = 0;
  let ahead = 0;
  parentPort.postMessage('reading');
  while (faults.length === 0) {
    // [0] how many are written whole, [1] whether the writer has ended.
    const isOver = Atomics.load(written, 1) === 1;
    const whole = Atomics.load(written, 0);
    for (let round = 0; round < 200 && whole > 0; round += 1) {
      // Mostly the newest ones: their segments and chunks are the newest.
      const index = random(3) === 0 ? random(whole) : Math.max(0, whole - 1 - random(50));
      const [userId, roomId] = [nameOf('@', index), nameOf('!', index)];
      const user = reader.userNo(userId);
      const room = reader.roomNo(roomId);
      if (user !== index + 1) faults.push(userId + ' is ' + user);
      if (room === -1) faults.push(roomId + ' is unknown');
      else if (reader.roomId(room) !== roomId) faults.push(room + ' is ' + reader.roomId(room));
      if (user !== 0 && reader.userId(user) !== userId) faults.push(user + ' is ' + reader.userId(user));
      if (!reader.mayBeIn(index + 1, index % shards)) faults.push(userId + ' is in no shard');
      looked += 1;
      // Those that are being written just now: there whole, or not at all.
      const next = whole + random(20);
      const early = reader.userNo(nameOf('@', next));
      if (early !== 0 && early !== next + 1) faults.push(next + ' came as ' + early);
      const earlyRoom = reader.roomNo(nameOf('!', next));
      if (earlyRoom !== -1 && reader.roomId(earlyRoom) !== nameOf('!', next)) faults.push('a room came half');
      if (early !== 0) ahead += 1;
      if (reader.userNo('@never' + next) !== 0) faults.push('a stranger is known');
    }
    if (isOver) break;
  }
  reader.close();
  parentPort.postMessage({ faults, looked, ahead });
`;

export interface Reading {
  /** Resolves when it reads. */
  readonly begun: Promise<void>;
  readonly result: Promise<{ readonly faults: string[]; readonly looked: number; readonly ahead: number }>;
}

/** @param written [how many names of each kind are written whole, whether that is all] in shared memory */
export function readInThread(
  directory: Directory,
  written: Int32Array,
  seed: number,
  shards: number,
): Reading {
  const subscription = directory.subscribe();
  const worker = new Worker(new URL(`data:text/javascript,${encodeURIComponent(program)}`), {
    workerData: { subscription, written, seed, shards },
    transferList: portsOf(subscription),
  });
  let begin: () => void;
  const begun = new Promise<void>((resolve) => (begin = resolve));
  const result = new Promise<Awaited<Reading['result']>>((resolve, reject) => {
    worker.on('error', reject);
    worker.on('message', (message: 'reading' | Awaited<Reading['result']>) => {
      if (message === 'reading') begin();
      else resolve(message);
    });
  });
  return { begun, result };
}
