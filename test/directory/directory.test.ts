/** Does every thread see the directory whole while another one writes it? */
import { expect, test } from 'vitest';
import type { UserNo } from '../../src/base/ids.js';
import { Directory, DirectoryReader } from '../../src/directory/directory.js';
import { readInThread } from './directory-reader.js';

const shards = 4;
const padding = ['', 'é', '"\\', '☕'.repeat(9), 'x'.repeat(200)];
const nameOf = (sigil: string, index: number): string =>
  `${sigil}${index}${padding[index % padding.length]}:example.org`;

test('readers in other threads find every name that was written, and never half of one', async () => {
  const directory = new Directory(shards);
  const written = new Int32Array(new SharedArrayBuffer(8));
  const write = (index: number): void => {
    const user = directory.users.intern(nameOf('@', index));
    directory.rooms.intern(nameOf('!', index));
    directory.userShards.add(user, index % shards);
    Atomics.store(written, 0, index + 1);
  };
  let index = 0;
  // One reads from the empty directory on; the others come while it grows, over enlargements, splits and new roots.
  const readings = [readInThread(directory, written, 1, shards)];
  for (const count of [5_000, 60_000, 150_000]) {
    await readings.at(-1)!.begun;
    for (; index < count; index += 1) write(index);
    readings.push(readInThread(directory, written, count, shards));
  }
  await readings.at(-1)!.begun;
  for (; index < 200_000; index += 1) write(index);
  Atomics.store(written, 1, 1);
  for (const { result } of readings) {
    const { faults, looked } = await result;
    expect(faults).toEqual([]);
    expect(looked).toBeGreaterThan(0);
  }
});

test('a reader in the same thread, opened before and after the directory grew', () => {
  const directory = new Directory(2);
  const early = new DirectoryReader(directory.subscribe());
  const [user] = directory.number([{ userId: '@a:x', roomId: '!r:x', joined: true }]);
  directory.userShards.add(user as UserNo, 1);
  const late = new DirectoryReader(directory.subscribe());
  for (const reader of [early, late]) {
    expect(reader.userNo('@a:x')).toBe(user);
    expect(reader.userNo('@b:x')).toBe(0);
    expect(reader.roomNo('!s:x')).toBe(-1);
    expect(reader.userId(user as UserNo)).toBe('@a:x');
    expect([0, 1].map((shard) => reader.mayBeIn(user as UserNo, shard))).toEqual([false, true]);
    reader.close();
  }
});

test('only a join gives out numbers, and counts say how many there are', () => {
  const directory = new Directory();
  expect(directory.number([{ userId: '@a:x', roomId: '!r:x', joined: false }])).toHaveLength(0);
  expect(directory.counts().every((count) => count === 0)).toBe(true);
  directory.number([
    { userId: '@a:x', roomId: '!r:x', joined: true },
    { userId: '@a:x', roomId: '!s:x', joined: true },
    { userId: '@b:x', roomId: '!s:x', joined: true },
  ]);
  const counts = directory.counts();
  expect(counts[64]).toBe(2);
  expect(counts.subarray(0, 64).reduce((sum, count) => sum + count, 0)).toBe(2);
  expect(directory.usersEnd).toBe(3);
});
