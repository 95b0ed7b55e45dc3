/** Is every kind of fault found, and said with the name of whom it is about? */
import { join } from 'node:path';
import { expect, describe, test } from 'vitest';
import { firstRoomOf } from '../../src/base/ids.js';
import { portableBytes, writePortable } from '../../src/sets/portable.js';
import { probeStore, verifyInProcess } from '../../src/store/inspect.js';
import { partitionOfPartKey, storeFileName, writePartKey } from '../../src/store/layout.js';
import type { Environment } from '../../src/store/lmdb.js';
import { readNameCounts, putNameCounts } from '../../src/store/name-blocks.js';
import { verifyStore } from '../../src/store/verify.js';
import { fullStore } from './full-store.js';
import { within } from './kept-store.js';

function setOf(...roomNos: number[]): Uint8Array {
  const sorted = Uint32Array.from(roomNos).sort();
  const bytes = new Uint8Array(portableBytes(sorted, 0, sorted.length));
  writePortable(sorted, 0, sorted.length, bytes, 0);
  return bytes;
}

/** The value of a key, as a copy. */
function valueOf(table: Environment['users'] | Environment['parts'], key: number | Uint8Array): Buffer {
  if (!table.get(key as never)) throw new Error('there is no such key');
  return Buffer.from(table.bytes.subarray(0, table.length));
}

function firstPart(environment: Environment): { key: Uint8Array; partition: number } {
  const scan = environment.parts.scan({});
  const key = Uint8Array.from(scan.next() ?? []);
  scan.close();
  return { key, partition: partitionOfPartKey(key) };
}

/** A room that exists in the partition. */
const roomIn = (environment: Environment): number => {
  const partition = readNameCounts(environment).findIndex((count) => count > 0);
  return firstRoomOf(partition);
};

test('a store without a fault says what is in it', async () => {
  const directory = await fullStore();
  const path = join(directory, storeFileName);
  await probeStore(path);
  expect(await verifyInProcess(path)).toMatchObject({
    users: 42,
    rooms: 250,
    memberships: 250 + 80,
    recentChanges: 2,
    usersWithoutRooms: 1,
    roomsWithoutMembers: 0,
  });
});

/** What is done to a store, and what is said about it. */
const faults: [name: string, harm: (environment: Environment) => void, said: RegExp][] = [
  [
    'a set out of order',
    ({ users: table }) => {
      const set = valueOf(table, 2);
      // The two rooms of one container, or two containers, the other way round.
      table.put(2, Buffer.concat([set.subarray(0, 8), swapped(set.subarray(8, 16)), set.subarray(16)]));
    },
    /"@user0:example\.org".*(follows on|begin)/,
  ],
  ['a set cut short', ({ users: table }) => table.put(3, valueOf(table, 3).subarray(0, -1)), /"@user1:/],
  ['what is no set', ({ users: table }) => table.put(3, Buffer.alloc(40)), /"@user1:.*begins with 0/],
  ['an empty set', ({ users: table }) => table.put(3, setOf()), /"@user1:.*empty/],
  ['a room that has no name', ({ users: table }) => table.put(3, setOf(2 ** 25 - 5)), /"@user1:.*room \d+/],
  ['a user who has no name', (e) => e.users.put(5000, setOf(roomIn(e))), /user 5000/],
  ['a user of number 0', (e) => e.users.put(0, setOf(roomIn(e))), /user 0/],
  [
    'too many rooms in one record',
    (e) => {
      const all = [...readNameCounts(e).subarray(0, 64)].flatMap((count, partition) =>
        Array.from({ length: count }, (_, sequence) => firstRoomOf(partition) + sequence),
      );
      e.users.put(3, setOf(...all));
    },
    /"@user1:.*250/,
  ],
  ['counts of something else', (e) => e.putMeta('counts', { memberships: 329, users: 41 }), /330.*329/],
  ['a mark that promises more', (e) => e.users.put(1, mark(251)), /"@bot:x".*1 more/],
  ['a mark that promises less', (e) => e.users.put(1, mark(249)), /"@bot:x"/],
  ['a mark of very few', (e) => e.users.put(1, mark(5)), /"@bot:x".*5/],
  ['a part that is missing', (e) => e.parts.remove(firstPart(e).key), /"@bot:x"/],
  [
    'a part without a mark',
    (e) => {
      const { partition } = firstPart(e);
      const key = new Uint8Array(5);
      writePartKey(key, 3, partition);
      e.parts.put(key, setOf(firstRoomOf(partition)));
    },
    /user 3/,
  ],
  [
    'a part with a room of another partition',
    (e) => {
      const { key, partition } = firstPart(e);
      const other = readNameCounts(e).findIndex((count, lane) => count > 0 && lane !== partition);
      e.parts.put(key, setOf(firstRoomOf(other)));
    },
    /"@bot:x".*partition/,
  ],
  ['a key of parts that is too short', (e) => e.parts.put(Uint8Array.of(1, 2), setOf(roomIn(e))), /0102/],
  [
    'a key of parts beyond all partitions',
    (e) => e.parts.put(Uint8Array.of(0, 0, 0, 1, 99), setOf(1)),
    /the key 0000000163/,
  ],
  ['recent changes that are half a word', (e) => e.recent.put(9, Buffer.alloc(7)), /commit/],
  ['no word of where the log stands', (e) => e.removeMeta('log'), /where the log of commits stands/],
  ['a commit that is left out', (e) => e.recent.put(9, Buffer.alloc(0)), /commit \d is missing/],
  ['a recent user who has no name', (e) => e.recent.put(2, words(900, 3)), /commit 2: user 900/],
  ['a recent room that has no name', (e) => e.recent.put(2, words(1, 2 * (2 ** 25 - 5))), /commit 2: room/],
  [
    'names that are missing',
    (e) => e.userNames.remove(1),
    /names of users are there, and 42 should be|follows on/,
  ],
  ['a block of names that is missing before others', (e) => e.userNames.remove(0), /block 1/],
  [
    'a block that has fewer names than it should, and the next one more',
    ({ userNames }) => {
      const first = valueOf(userNames, 0);
      const second = valueOf(userNames, 1);
      const at = startOfLastName(first);
      userNames.put(0, first.subarray(0, at));
      userNames.put(1, Buffer.concat([first.subarray(at), second]));
    },
    /block 1 .* begins behind 31/,
  ],
  [
    'a name that is there twice',
    ({ userNames }) => {
      const block = valueOf(userNames, 0);
      const at = block.indexOf('@user1:');
      block.write('@user0:', at);
      userNames.put(0, block);
    },
    /"@user0:example\.org".*twice/,
  ],
  [
    'a name with something in its padding',
    ({ userNames }) => {
      const block = valueOf(userNames, 0);
      // "@bot:x" and two bytes of length fill two words.
      block[block.indexOf('@bot:x') - 2] = 5;
      userNames.put(0, block);
    },
    /@bot:/,
  ],
  [
    'a name that is no UTF-8',
    ({ userNames }) => {
      const block = valueOf(userNames, 0);
      block[block.indexOf('@user0:') + 1] = 0xff;
      userNames.put(0, block);
    },
    /user 2 .*UTF-8/,
  ],
  [
    'a name that is said to be escaped and needs it not',
    ({ userNames }) => {
      const block = valueOf(userNames, 0);
      block[block.indexOf('@user0:') - 1] |= 0x80;
      userNames.put(0, block);
    },
    /"@user0:.*escaped/,
  ],
  [
    'a room in a partition that is not its own',
    (e) => {
      const scan = e.roomNames.scan({});
      const key = scan.next() ?? 0;
      const block = Buffer.from(scan.bytes.subarray(0, scan.length));
      scan.close();
      for (let letter = 97; letter < 123; letter += 1) {
        block[block.indexOf('!') + 1] = letter;
        e.roomNames.put(key, block);
        break;
      }
    },
    /"!aoom\d+:example\.org".*lane/,
  ],
  [
    'more names than are counted',
    (e) => {
      const counts = readNameCounts(e);
      counts[64] -= 1;
      putNameCounts(e, counts);
    },
    /42 names of users are there, and 41 should be/,
  ],
  ['no identity', (e) => e.removeMeta('identity'), /identity/],
  [
    'a numbering before this one that cannot be read',
    (e) => e.putMeta('earlier', [{ epoch: 1, endedAtMs: 2, kept: Buffer.from('garbage!garbage!') }]),
    /earlier/,
  ],
  [
    'a numbering before this one whose rooms are out of order',
    (e) => {
      const kept = Buffer.from(setOf(1, 2));
      kept.writeUInt16LE(9, kept.length - 4);
      e.putMeta('earlier', [{ epoch: 1, endedAtMs: 2, kept }]);
    },
    /earlier/,
  ],
];

function words(...values: number[]): Uint8Array {
  return new Uint8Array(Uint32Array.from(values).buffer);
}

function mark(count: number): Uint8Array {
  return words(count);
}

function swapped(eight: Buffer): Buffer {
  return Buffer.concat([eight.subarray(4), eight.subarray(0, 4)]);
}

function startOfLastName(block: Buffer): number {
  let last = 0;
  for (let at = 0; at < block.length;) {
    last = at;
    at += Math.ceil((2 + (block.readUInt16LE(at) & 0x7fff)) / 4) * 4;
  }
  return last;
}

describe('a fault is found and named:', () => {
  test.each(faults)('%s', async (_, harm, said) => {
    const directory = await fullStore();
    await within(directory, (environment) => environment.write(() => harm(environment)));
    await expect(verifyStore(join(directory, storeFileName))).rejects.toThrow(said);
    await expect(verifyStore(join(directory, storeFileName))).rejects.toMatchObject({ code: 'DAMAGED' });
  });

  test('a format of another version is no damage', async () => {
    const directory = await fullStore();
    await within(directory, (environment) =>
      environment.write(() => environment.putMeta('format', { program: 'mutual-rooms', format: 99 })),
    );
    await expect(verifyInProcess(join(directory, storeFileName))).rejects.toMatchObject({ code: 'INVALID' });
  });
});
