/** Is any state the same after an export and an import, whatever the IDs hold? */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { compactStore } from '../../src/store/compact.js';
import { anyName } from '../directory/any-name.js';
import { runs } from '../runs.js';
import { imported } from '../store/imported-store.js';
import { addTo, allIn, membershipsOf, stateAfter, storeOf } from '../store/kept-store.js';

test('any IDs, folded and not', { timeout: 120_000 }, async () => {
  await fc.assert(
    fc.asyncProperty(
      fc.uniqueArray(anyName, { minLength: 1, maxLength: 8 }),
      fc.uniqueArray(anyName, { minLength: 1, maxLength: 8 }),
      fc.array(fc.tuple(fc.nat(7), fc.nat(7), fc.boolean()), { maxLength: 40 }),
      async (users, rooms, later) => {
        const first = allIn(users, rooms);
        const directory = await storeOf(first);
        await compactStore({ directory });
        const changes: Change[] = later.map(([user, room, joined]) => ({
          userId: users[user % users.length],
          roomId: rooms[room % rooms.length],
          joined,
        }));
        await addTo(directory, changes);
        const expected = stateAfter([...first, ...changes]);
        expect(await membershipsOf(directory)).toEqual(expected);
        expect(await membershipsOf(await imported(directory))).toEqual(expected);
      },
    ),
    { numRuns: runs(3, 15) },
  );
});
