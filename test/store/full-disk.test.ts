/**
 * Does a store whose disk takes nothing more refuse whole batches, go on when it does, and let go of the store all the same?
 * The limit of a process on the size of its files is such a disk, without one (test/slow/disk.slow.ts has real ones).
 */
import { execFileSync, spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { expect, test } from 'vitest';
import { storeFileName } from '../../src/store/layout.js';
import { verifyStore } from '../../src/store/verify.js';
import { addTo, joins, membershipsOf, newFolder } from './kept-store.js';
import { OtherProcess } from './other-process.js';

const canLimit = spawnSync('prlimit', ['--version']).status === 0;
if (!canLimit) console.warn('skipped: what happens on a full disk, because there is no prlimit');

/** Nothing is written to a file beyond its first page. */
function fill({ child }: OtherProcess): void {
  execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=4096:unlimited']);
}

function free({ child }: OtherProcess): void {
  execFileSync('prlimit', ['--pid', String(child.pid), '--fsize=unlimited:unlimited']);
}

test.runIf(canLimit)('refused while it is full, and taken again', async () => {
  const directory = newFolder();
  const other = await OtherProcess.open(directory);
  expect(await other.commit('@a:x', '!r')).toBe('committed');
  for (let times = 0; times < 3; times += 1) {
    fill(other);
    for (let again = 0; again < 2; again += 1) {
      expect(await other.commit(`@lost${times}.${again}:x`, '!lost')).toMatch(
        /^FULL the disk of the store is full \(File too large\): free some space; nothing of this batch was kept$/,
      );
    }
    free(other);
    expect(await other.commit(`@b${times}:x`, '!r')).toBe('committed');
  }
  expect(await other.close()).toBe(0);
  expect(await membershipsOf(directory)).toEqual(['@a:x !r', '@b0:x !r', '@b1:x !r', '@b2:x !r']);
  // The names of what was refused came with what followed, and are in nobody's way.
  expect(await verifyStore(join(directory, storeFileName))).toMatchObject({
    users: 10,
    usersWithoutRooms: 6,
  });
});

test.runIf(canLimit)('closed while it is full: it ends well, and the next one takes it over', async () => {
  const directory = newFolder();
  const other = await OtherProcess.open(directory);
  expect(await other.commit('@a:x', '!r')).toBe('committed');
  fill(other);
  expect(await other.commit('@lost:x', '!lost')).toMatch(/^FULL /);
  expect(await other.close()).toBe(0);
  await addTo(directory, [joins('@b:x', '!r')]);
  expect(await membershipsOf(directory)).toEqual(['@a:x !r', '@b:x !r']);
});
