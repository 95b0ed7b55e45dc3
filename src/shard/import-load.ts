/** How a store is read, imported when it is wanted: a process that keeps nothing needs no LMDB. */
import type { diskFaultOf } from '../store/disk-fault.js';
import type { RoomSetLoad } from '../store/load.js';

interface Load {
  readonly RoomSetLoad: typeof RoomSetLoad;
  readonly diskFaultOf: typeof diskFaultOf;
}

export async function importLoad(): Promise<Load> {
  const [load, fault] = await Promise.all([import('../store/load.js'), import('../store/disk-fault.js')]);
  return { RoomSetLoad: load.RoomSetLoad, diskFaultOf: fault.diskFaultOf };
}
