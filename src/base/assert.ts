/**
 * `assert` is for our own faults and is always on. In a request it becomes a 500 and a counter; while changes are
 * applied it ends the process, because the state is suspect. Faults of a caller are a `PublicError` (errors.ts).
 */
export function assert(condition: boolean, message: string): asserts condition {
  if (!condition) throw new AssertionError(message);
}

export class AssertionError extends Error {
  override name = 'AssertionError';
}
