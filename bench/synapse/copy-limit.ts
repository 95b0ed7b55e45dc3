/**
 * How fast can the memberships come out of PostgreSQL at all? The same COPY, read to nowhere: by psql into /dev/null, by the
 * client of the feed, and by that with the rows made into objects. Forked by bench/synapse/bootstrap.ts.
 */
import { execFile } from 'node:child_process';
import { promisify } from 'node:util';
import { Client, type ClientConfig } from 'pg';
import { to as copyTo } from 'pg-copy-streams';
import { Connection } from '#dist/source/synapse/database/connection';
import { allMemberships } from '#dist/source/synapse/database/memberships-query';
import { answerOrder } from '../child.js';

export interface CopyLimitOrder {
  readonly place: ClientConfig & { readonly host: string; readonly port: number; readonly user: string };
  readonly database: string;
  readonly password: string;
  /** Where psql is. */
  readonly psql: string;
}

/** Seconds, and processor seconds of the client. */
export interface CopyLimit {
  readonly psql: number;
  readonly bytes: number;
  readonly rows: number;
  readonly rowsCpu: number;
}

async function measure({ place, database, password, psql }: CopyLimitOrder): Promise<CopyLimit> {
  const timed = async (work: () => Promise<void>): Promise<number> => {
    const began = performance.now();
    await work();
    return (performance.now() - began) / 1000;
  };
  const viaPsql = async (): Promise<void> => {
    const where = ['--host', place.host, '--port', String(place.port), '--username', place.user];
    const copy = ['--no-psqlrc', '--command', `\\copy (${allMemberships}) TO '/dev/null'`];
    const env = { ...process.env, PGPASSWORD: password };
    await promisify(execFile)(psql, [...where, '--dbname', database, ...copy], { env });
  };
  const viaClient = async (): Promise<void> => {
    const client = new Client({ ...place, password, database });
    await client.connect();
    let bytes = 0;
    for await (const piece of client.query(copyTo(`COPY (${allMemberships}) TO STDOUT`)))
      bytes += (piece as Buffer).length;
    await client.end();
    if (bytes === 0) throw new Error('there are no memberships');
  };
  const viaConnection = async (): Promise<void> => {
    const connection = await Connection.open({ ...place, password, database });
    let rows = 0;
    for await (const piece of connection.copyMemberships(allMemberships)) rows += piece.length;
    connection.close();
    if (rows === 0) throw new Error('there are no memberships');
  };
  // What the disk has is in memory after this.
  await viaPsql();
  const limit = { psql: await timed(viaPsql), bytes: await timed(viaClient) };
  const before = process.cpuUsage();
  const rows = await timed(viaConnection);
  const { user, system } = process.cpuUsage(before);
  return { ...limit, rows, rowsCpu: (user + system) / 1e6 };
}

await answerOrder(measure);
