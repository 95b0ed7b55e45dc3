/** `verify`: checks all of a store, beside a running server too, and says what is in it, or what its first fault is. */
import { findStore } from '../store/data-directory.js';
import { verifyInProcess } from '../store/inspect.js';
import { storeDirectory, type StoreDirectoryOptions } from './store-directory.js';
import type { Terminal } from './terminal.js';

/** @throws PublicError with the first fault */
export async function verify(options: StoreDirectoryOptions, terminal: Terminal): Promise<void> {
  const path = findStore(storeDirectory(options, terminal));
  const totals = await verifyInProcess(path);
  const unused = totals.usersWithoutRooms + totals.roomsWithoutMembers;
  const share = (unused / Math.max(1, totals.users + totals.rooms)) * 100;
  terminal.out(
    `${path} has no fault: ${totals.memberships} memberships of ${totals.users} users in ${totals.rooms} rooms, ` +
      `${totals.bytes} bytes; ${share.toFixed(1)} % of the names are joined to nothing, ` +
      `${totals.recentChanges} changes are not folded in yet\n`,
  );
}
