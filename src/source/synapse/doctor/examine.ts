/**
 * Checks a Synapse database for `doctor`, as the feed would use it: can it be read, is it Synapse's, does anything make following it
 * slow or wrong? It prints nothing and changes nothing, and is safe beside a running feed.
 *
 * Invariant: a check that fails ends no other, unless the database cannot be reached any more.
 * Cost: one connection and a dozen queries; one that takes longer than 5 s is given up, by the server as well.
 */
import { messageOf } from '../../../base/errors.js';
import { fail, type Finding, ok } from '../../../base/finding.js';
import { type Check, statementMsMax, type Subject } from './check.js';
import { Connection, placeOf, type PostgresOptions } from '../database/connection.js';
import { accessChecks } from './examine-access.js';
import { contentChecks } from './examine-content.js';
import { serverChecks } from './examine-server.js';
import { postgresFault } from '../database/postgres-fault.js';
import { redisFault, type RedisOptions } from '../redis-wake.js';

/** The server gives up first: it can say what it waited for. */
const patience = { connectMsMax: 5_000, silenceMsMax: 6_000 };

const checks: readonly Check[] = [...serverChecks, ...accessChecks, ...contentChecks];

export async function examineSynapse(options: {
  readonly postgres: PostgresOptions;
  readonly serverName: string;
  readonly redis?: RedisOptions | undefined;
}): Promise<Finding[]> {
  const { redis, serverName } = options;
  const database = await examineDatabase(options);
  return redis === undefined ? database : [...database, await examineRedis(redis, serverName)];
}

async function examineRedis(redis: RedisOptions, serverName: string): Promise<Finding> {
  const place = `${redis.host}:${redis.port}`;
  const fault = await redisFault(redis, serverName);
  return fault === undefined
    ? ok('redis', `${place} lets it listen to channel ${serverName}`)
    : fail('redis', `${place}: ${fault}; correct source.synapse.redis, or leave it out: it is not needed`);
}

async function examineDatabase(options: {
  readonly postgres: PostgresOptions;
  readonly serverName: string;
}): Promise<Finding[]> {
  const { postgres, serverName } = options;
  let place: string;
  try {
    place = placeOf(postgres);
  } catch (error) {
    return [fail('postgres', `${messageOf(error)}; correct source.synapse.postgres`)];
  }
  const findings: Finding[] = [];
  const subject: Subject = { place, serverName, readable: new Set() };
  let connection: Connection | undefined;
  try {
    connection = await open(postgres);
    for (const { name, tables = [], look } of checks) {
      if (tables.some((table) => !subject.readable.has(table))) continue;
      try {
        findings.push(...(await look(connection, subject)));
      } catch (error) {
        findings.push(fail(name, postgresFault(error)));
        // A failure has ended it.
        connection = await open(postgres);
      }
    }
  } catch (error) {
    findings.push(fail('postgres', `${place}: ${postgresFault(error)}`));
  } finally {
    connection?.close();
  }
  return findings;
}

async function open(postgres: PostgresOptions): Promise<Connection> {
  const connection = await Connection.open(postgres, { patience });
  await connection.query(`SET statement_timeout = ${statementMsMax}`);
  await connection.query('SET default_transaction_read_only = on');
  return connection;
}
