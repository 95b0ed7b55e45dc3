/** A commit that has no number yet, of changes whose names are in a directory. */
import type { Directory } from '../../src/directory/directory.js';
import type { Draft } from '../../src/log/commit.js';
import type { Cursor } from '../../src/log/cursor.js';

export function draftOf(
  directory: Pick<Directory, 'counts'>,
  changes: Uint32Array,
  cursors: readonly Cursor[] = [],
): Draft {
  return { changes, isSorted: false, names: directory.counts(), cursors };
}
