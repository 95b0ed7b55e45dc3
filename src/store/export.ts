/**
 * All memberships of a store as NDJSON, one a line, as import takes them: as of one commit, beside whoever writes.
 * Cost: all names in memory, and a chunk of lines.
 */
import { roomNames, userNames } from '../directory/interner.js';
import { checkFormat } from './identity.js';
import { userCountAt } from '../directory/name-counts.js';
import { Environment, type Snapshot } from './lmdb.js';
import { readNameCounts } from './name-blocks.js';
import { readNames } from './restore-names.js';
import { StateReader } from './state-reader.js';
import type { Progress } from './store.js';

const chunkBytes = 256 * 1024;
const beforeUser = Buffer.from('{"user_id":');
const beforeRoom = Buffer.from(',"room_id":');
const afterRoom = Buffer.from(',"membership":"join"}\n');
/** Names are written in whole words: up to three bytes behind one are written too. */
const bytesBeyond = 3;

/** @param onProgress is told of users. @returns how many memberships there were. @throws PublicError INVALID, DAMAGED, UNAVAILABLE */
export async function* exportMemberships(path: string, onProgress: Progress): AsyncGenerator<Buffer, number> {
  const environment = new Environment({ path, readOnly: true });
  let snapshot: Snapshot | undefined;
  try {
    snapshot = environment.snapshot();
    checkFormat(environment);
    const users = userNames();
    users.append(0, new Uint32Array(1), 0, false);
    const rooms = roomNames();
    await readNames(environment, users, rooms, snapshot);
    const userCount = readNameCounts(environment, snapshot)[userCountAt];
    const reader = new StateReader(environment, snapshot);
    let lines = new Lines();
    let memberships = 0;
    while (reader.next()) {
      memberships += reader.count;
      const user = users.position(reader.user);
      for (let index = 0; index < reader.count; index += 1) {
        const room = rooms.position(reader.rooms[index]);
        const bytes = users.jsonBytesMaxAt(user) + rooms.jsonBytesMaxAt(room);
        if (!lines.hasSpace(bytes)) {
          onProgress(reader.user, userCount);
          yield lines.written;
          lines = new Lines();
        }
        lines.put(beforeUser);
        lines.end = users.writeJsonAt(user, lines.view, lines.end);
        lines.put(beforeRoom);
        lines.end = rooms.writeJsonAt(room, lines.view, lines.end);
        lines.put(afterRoom);
      }
    }
    onProgress(userCount, userCount);
    if (lines.end > 0) yield lines.written;
    return memberships;
  } finally {
    snapshot?.done();
    await environment.close();
  }
}

/** Lines that leave together; who gets them may keep them. */
class Lines {
  readonly #bytes = Buffer.alloc(chunkBytes);
  readonly view = new DataView(this.#bytes.buffer, this.#bytes.byteOffset, chunkBytes);
  end = 0;

  hasSpace(nameBytes: number): boolean {
    const fixed = beforeUser.length + beforeRoom.length + afterRoom.length + bytesBeyond;
    return this.end + nameBytes + fixed <= chunkBytes;
  }

  put(text: Buffer): void {
    text.copy(this.#bytes, this.end);
    this.end += text.length;
  }

  get written(): Buffer {
    return this.#bytes.subarray(0, this.end);
  }
}
