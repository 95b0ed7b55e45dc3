/** The process of inspect.ts: `probe PATH` or `verify PATH`, and the outcome as JSON on stdout. */
import { PublicError, messageOf, type PublicErrorCode } from '../base/errors.js';
import { resourceFaultOf } from '../base/resource-fault.js';
import type { Inspected, Inspection } from './inspect.js';
import { Environment, ProcessNumberTaken, type Table } from './lmdb.js';
import { verifyStore, type StoreTotals } from './verify.js';

const [inspection, path] = process.argv.slice(2) as [Inspection, string];
let inspected: Inspected;
try {
  await probe();
  let totals: StoreTotals | undefined;
  if (inspection === 'verify') totals = await verifyStore(path);
  inspected = { totals };
} catch (error) {
  inspected = { ...faultOf(error), isNumberTaken: error instanceof ProcessNumberTaken };
}
process.stdout.write(JSON.stringify(inspected));

function faultOf(error: unknown): { code: PublicErrorCode; message: string } {
  if (error instanceof PublicError) return { code: error.code, message: error.message };
  const resource = resourceFaultOf(error);
  if (resource !== undefined) return { code: 'UNAVAILABLE', message: `${path} cannot be read: ${resource}` };
  return { code: 'DAMAGED', message: `${path} is damaged (${messageOf(error)}): put a backup in its place` };
}

/** Reads every record of every table. At a damaged page a table may seem to end, so the records are counted. */
async function probe(): Promise<void> {
  const environment = new Environment({ path, readOnly: true });
  const { userNames, roomNames, users, parts, recent } = environment;
  for (const name of environment.metaNames()) environment.getBytes(name);
  // Until the event loop turns, all reads see the same state, whoever writes meanwhile.
  count('user_names', userNames);
  count('room_names', roomNames);
  count('users', users);
  count('parts', parts);
  count('recent', recent);
  await environment.close();
}

function count<Key extends number | Uint8Array>(name: string, table: Table<Key>): void {
  const expected = table.count;
  const scan = table.scan({});
  let found = 0;
  // Damaged pages that point at each other would be read for ever.
  while (found <= expected && scan.next() !== undefined) found += 1;
  if (found !== expected)
    throw new Error(
      `the table ${name} has ${found > expected ? 'more than' : `${found} records, not`} ${expected}`,
    );
}
