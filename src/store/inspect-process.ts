/** The process of inspect.ts: `probe PATH` or `verify PATH`, and the outcome as JSON on stdout. */
import { PublicError, messageOf } from '../base/errors.js';
import type { Inspected, Inspection } from './inspect.js';
import { Environment, type Scan } from './lmdb.js';
import { verifyStore, type StoreTotals } from './verify.js';

const [inspection, path] = process.argv.slice(2) as [Inspection, string];
let inspected: Inspected;
try {
  let totals: StoreTotals | undefined;
  if (inspection === 'verify') totals = await verifyStore(path);
  else await probe();
  inspected = { totals };
} catch (error) {
  inspected =
    error instanceof PublicError
      ? { code: error.code, message: error.message }
      : { code: 'DAMAGED', message: `${path} is damaged (${messageOf(error)}): put a backup in its place` };
}
process.stdout.write(JSON.stringify(inspected));

/** Reads every record of every table. */
async function probe(): Promise<void> {
  const environment = new Environment({ path, readOnly: true });
  const { userNames, roomNames, users, parts, recent } = environment;
  for (const name of environment.metaNames()) environment.getBytes(name);
  const scans: Scan<unknown>[] = [userNames, roomNames, users, recent].map((table) => table.scan({}));
  for (const scan of [...scans, parts.scan({})]) while (scan.next() !== undefined);
  await environment.close();
}
