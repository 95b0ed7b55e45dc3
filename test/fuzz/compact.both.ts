/** Is any state the same after a compaction, whatever is folded already? */
import fc from 'fast-check';
import { expect, test } from 'vitest';
import type { Change } from '../../src/base/change.js';
import { compactStore } from '../../src/store/compact.js';
import { anyName } from '../directory/any-name.js';
import { runs } from '../runs.js';
import { addTo, allIn, membershipsOf, stateAfter, storeOf, totalsOf } from '../store/kept-store.js';

const changesOf = (names: number): fc.Arbitrary<Change[]> =>
  fc.array(
    fc.record({
      userId: fc.integer({ min: 0, max: names }).map((index) => `@u${index}:x`),
      roomId: fc.integer({ min: 0, max: names * 3 }).map((index) => `!r${index}:x`),
      joined: fc.boolean(),
    }),
    { maxLength: 200 },
  );

test(
  'any state is the same after a compaction, whatever is folded already',
  { timeout: 120_000 },
  async () => {
    await fc.assert(
      fc.asyncProperty(
        fc.array(changesOf(8), { minLength: 1, maxLength: 4 }),
        fc.uniqueArray(anyName, { maxLength: 6 }),
        async (lists, names) => {
          const all: Change[] = allIn(names, names);
          const directory = await storeOf(all);
          for (const changes of lists) {
            await addTo(directory, changes);
            all.push(...changes);
            await compactStore({ directory });
            expect(await membershipsOf(directory)).toEqual(stateAfter(all));
            expect(await totalsOf(directory)).toMatchObject({ usersWithoutRooms: 0, roomsWithoutMembers: 0 });
          }
        },
      ),
      { numRuns: runs(3, 25) },
    );
  },
);
