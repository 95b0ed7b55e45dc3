/**
 * What runs in a shard's worker thread: a `ShardCore`, its reader of the room names, and the tasks of wire.ts.
 *
 * A worker starts empty and answers nothing until it is opened, and it is opened once. So a thread that was started
 * anew in place of one that died cannot pass for it with an empty index.
 */
import { assert } from '../base/assert.js';
import { recordsPerStep } from './bounds.js';
import { Names } from '../directory/names.js';
import type { RoomSetLoad } from '../store/load.js';
import { importLoad } from './import-load.js';
import { RoomSums } from './room-sums.js';
import { ShardCore } from './shard-core.js';
import { exactCopy, type Answers, type LoadAnswer, type ShardStats, type ShardTask } from './wire.js';

interface Opened {
  readonly core: ShardCore;
  readonly names: Names;
}

let opened: Opened | undefined;

export default function run(
  task: ShardTask,
): Answers | Uint32Array | number | ShardStats | Promise<LoadAnswer> {
  if (task.kind === 'open') {
    assert(opened === undefined, 'a worker is opened once');
    const names = Names.open(task.names);
    opened = { core: new ShardCore(task.partitions, names), names };
    return 0;
  }
  assert(opened !== undefined, 'a worker that lost its memberships answers nothing');
  const { core, names } = opened;
  switch (task.kind) {
    case 'load':
      return load(core, task);
    case 'ask':
      names.renew();
      return exactCopy(core.ask(task.questions));
    case 'follow':
      return core.apply(task.changes);
    case 'list':
      return core.membership.list(task.first, task.end, task.rooms);
    case 'sum':
      core.membership.sum(task.first, task.hashes, RoomSums.from(task.sums));
      return 0;
    case 'members':
      return core.rooms.members(task.partition);
    case 'stats':
      return core.stats();
  }
}

async function load(
  core: ShardCore,
  { path, expected, progress }: ShardTask & { kind: 'load' },
): Promise<LoadAnswer> {
  const { RoomSetLoad, diskFaultOf } = await importLoad();
  let load: RoomSetLoad | undefined;
  try {
    load = new RoomSetLoad(path, core.partitions, core.membership, expected);
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
