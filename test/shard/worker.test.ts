/** Does a thread answer nothing until it is opened? One that took the place of another would answer that nobody is anywhere. */
import { expect, test } from 'vitest';
import type { RoomNo, UserNo } from '../../src/base/ids.js';
import { changeWord } from '../../src/log/changes.js';
import { pageQuestion, type ShardTask } from '../../src/shard/wire.js';
import run from '../../src/shard/worker.js';

const alice = 1 as UserNo;
const room = 5 as RoomNo;
const partitions = { first: 0, end: 64 };

test('a worker answers nothing before it is opened, and is opened once', () => {
  const tasks: ShardTask[] = [
    { kind: 'apply', numbers: Uint32Array.of(alice, changeWord(room, true)), names: [] },
    { kind: 'ask', numbers: pageQuestion([alice], 0, 10, false), names: [] },
    { kind: 'stats' },
    { kind: 'forgetRoom', room, first: 0, end: 10 },
    { kind: 'forgetUser', user: alice },
  ];
  for (const task of tasks) expect(() => run(task), task.kind).toThrow('lost its memberships');
  expect(run({ kind: 'open', partitions })).toBe(0);
  expect(() => run({ kind: 'open', partitions })).toThrow('opened once');
  expect(run(tasks[0])).toBe(1);
  expect(run(tasks[1])).toMatchObject({ numbers: Uint32Array.of(6, 1, 1, 1, 0, room, 0) });
  expect(run(tasks[2])).toBeInstanceOf(Uint8Array);
  expect(run(tasks[3])).toBe(1);
  expect(run(tasks[4])).toBe(0);
});
