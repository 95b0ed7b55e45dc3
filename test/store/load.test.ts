/** Does a load that is refused give back what it opened? LMDB has room for 126 readers at a time. */
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { partitionCount } from '../../src/base/ids.js';
import { storeFileName } from '../../src/store/layout.js';
import { RoomSetLoad } from '../../src/store/load.js';
import { joins, storeOf } from './kept-store.js';

const all = { first: 0, end: partitionCount };
const sink = { restore: () => undefined, apply: () => undefined };
const readersMax = 126;

test('of a store that is another one by now, again and again', async () => {
  const path = join(await storeOf([joins('@a:x', '!r')]), storeFileName);
  for (let times = 0; times < readersMax * 2; times += 1) {
    expect(() => new RoomSetLoad(path, all, sink, { epoch: -1, instance: undefined })).toThrow(
      "is another server's by now",
    );
  }
  const load = new RoomSetLoad(path, all, sink);
  while (load.step(100));
  await load.close();
});
