/**
 * What runs in a shard's worker thread: a `ShardCore`, its reader of the room names, and the tasks of wire.ts.
 *
 * A worker starts empty and answers nothing until it is opened, and it is opened once. So a thread that was started
 * anew in place of one that died cannot pass for it with an empty index.
 */
import { pack } from 'msgpackr';
import { assert } from '../base/assert.js';
import { recordsPerStep } from '../base/limits.js';
import { roomNames } from '../directory/interner.js';
import { diskFaultOf } from '../store/disk-fault.js';
import type { RoomSetLoad } from '../store/load.js';
import { RoomSums } from './room-sums.js';
import { ShardCore } from './shard-core.js';
import { exactCopy, type Answers, type LoadAnswer, type ShardTask } from './wire.js';

const names = roomNames();
let core: ShardCore | undefined;

export default function run(
  task: ShardTask,
): Answers | Uint8Array | Uint32Array | number | Promise<LoadAnswer> {
  if (task.kind === 'open') {
    assert(core === undefined, 'a worker is opened once');
    core = new ShardCore(task.partitions, names);
    return 0;
  }
  assert(core !== undefined, 'a worker that lost its memberships answers nothing');
  switch (task.kind) {
    case 'load':
      return load(core, task);
    case 'ask':
      names.adopt(task.names);
      return exactCopy(core.ask(task.numbers));
    case 'apply':
      names.adopt(task.names);
      return core.apply(task.numbers);
    case 'forgetUser':
      return core.membership.forgetUser(task.user);
    case 'forgetRoom':
      return core.membership.forgetRoom(task.room, task.first, task.end);
    case 'list':
      return core.membership.list(task.first, task.end, task.rooms);
    case 'sum':
      core.membership.sum(task.first, task.hashes, RoomSums.from(task.sums));
      return 0;
    case 'stats':
      // A copy, for the same reason as `exactCopy`.
      return Uint8Array.from(pack(core.stats()));
  }
}

async function load(
  core: ShardCore,
  { path, expected, progress }: ShardTask & { kind: 'load' },
): Promise<LoadAnswer> {
  let load: RoomSetLoad | undefined;
  try {
    load = core.load(path, expected);
    progress[1] = load.total;
    // Nobody asks before it is loaded, so there is nobody to let in between.
    while (load.step(recordsPerStep)) progress[0] = load.done;
    progress[0] = load.done;
    return core.loaded(load);
  } catch (error) {
    const { code, message } = diskFaultOf(error, path);
    return { code, message };
  } finally {
    await load?.close();
  }
}
