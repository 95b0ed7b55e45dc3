/**
 * By how much does a process grow for so many names? Forked by intern.ts.
 */
import { userInterner } from '#dist/directory/interner';
import { answerOrder, residentBytes } from './child.js';
import { UserIds } from './data/user-ids.js';

export type InternKind = 'interner' | 'Map';

export interface MemoryOrder {
  readonly kind: InternKind;
  readonly count: number;
}

export interface MemoryAnswer {
  /** Growth of the resident set. */
  readonly bytes: number;
  /** UTF-8 of all names. */
  readonly nameBytes: number;
  readonly checksum: number;
}

/** Either table behind one call. */
function tableOf(kind: InternKind): { intern: (name: string) => number; find: (name: string) => number } {
  if (kind === 'interner') {
    const users = userInterner();
    return { intern: (name) => users.intern(name), find: (name) => users.find(name) };
  }
  const numbers = new Map<string, number>();
  return {
    intern: (name) => {
      numbers.set(name, numbers.size + 1);
      return numbers.size;
    },
    find: (name) => numbers.get(name) ?? -1,
  };
}

function measure(kind: InternKind, count: number): MemoryAnswer {
  const ids = new UserIds(count);
  // The code is compiled, and the young generation has its full size, before the first look.
  const warm = tableOf(kind);
  for (let index = 0; index < 20_000; index += 1) warm.intern(ids.fresh(index % count));
  const before = residentBytes();
  const table = tableOf(kind);
  let checksum = 0;
  for (let index = 0; index < count; index += 1) checksum = (checksum + table.intern(ids.fresh(index))) | 0;
  const bytes = residentBytes() - before;
  for (let index = 0; index < count; index += 7) checksum = (checksum + table.find(ids.fresh(index))) | 0;
  return { bytes, nameBytes: ids.bytes, checksum };
}

await answerOrder(({ kind, count }: MemoryOrder) => measure(kind, count));
