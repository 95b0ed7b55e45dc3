/** Does a thread answer nothing until it is opened? One that took the place of another would answer that nobody is anywhere. */
import { expect, onTestFinished, test } from 'vitest';
import { partitionOf, type UserNo } from '../../src/base/ids.js';
import { roomInterner } from '../../src/directory/interner.js';
import { changeWord } from '../../src/log/changes.js';
import { RoomSums } from '../../src/shard/room-sums.js';
import { pageQuestion, type ShardTask } from '../../src/shard/wire.js';
import run from '../../src/shard/worker.js';

const alice = 1 as UserNo;
const partitions = { first: 0, end: 64 };

test('a worker answers nothing before it is opened, and is opened once', () => {
  const rooms = roomInterner();
  const room = rooms.intern('!tea:x');
  const opening = (): ShardTask => {
    const names = rooms.names.subscribe();
    onTestFinished(() => names.growth.port.close());
    return { kind: 'open', partitions, names };
  };
  const sums = RoomSums.of(rooms.names);
  const tasks: ShardTask[] = [
    { kind: 'follow', changes: Uint32Array.of(alice, changeWord(room, true)) },
    { kind: 'ask', questions: pageQuestion([alice], 0, 10, false) },
    { kind: 'stats' },
    { kind: 'list', first: 0, end: 10, rooms: undefined },
    { kind: 'members', partition: partitionOf(room) },
    { kind: 'sum', first: alice, hashes: Int32Array.of(7), sums: sums.shared },
    { kind: 'load', path: '/nowhere', expected: undefined, progress: new Float64Array(2) },
  ];
  for (const task of tasks) expect(() => run(task), task.kind).toThrow('lost its memberships');
  expect(run(opening())).toBe(0);
  expect(() => run(opening())).toThrow('opened once');
  expect(run(tasks[0])).toBe(1);
  expect(run(tasks[1])).toMatchObject({ numbers: Uint32Array.of(6, 1, 1, 1, 0, room, 0) });
  expect(run(tasks[2])).toMatchObject({ memberships: 1, bitmaps: 0 });
  expect(run(tasks[3])).toEqual(Uint32Array.of(alice, 1, room));
  expect((run(tasks[4]) as Uint32Array)[0]).toBe(1);
  expect(run(tasks[5])).toBe(0);
  expect(sums.take(room)).toEqual({ count: 1, hash: 7 });
});
