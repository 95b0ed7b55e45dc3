/**
 * `grants`: prints the SQL that makes the role as which Synapse's database is read. It connects to nothing.
 *
 * Names are those of the options, else those of the configuration, so that role and configuration agree.
 */
import { PublicError } from '../base/errors.js';
import { type Config, loadConfig } from '../config/load.js';
import { type GrantNames, grantsSql } from '../source/synapse/database/grants.js';
import { CommandError, exitCodes } from './command-error.js';
import type { Terminal } from './terminal.js';

export interface GrantsOptions {
  readonly config?: string | undefined;
  readonly role?: string | undefined;
  readonly database?: string | undefined;
  readonly schema?: string | undefined;
}

/** @throws ConfigError, and CommandError when a name cannot be one */
export function grants(options: GrantsOptions, terminal: Terminal): void {
  const { role, database, schema = 'public' } = options;
  // Whoever may make roles is often not allowed to read the secrets of the configuration, and names both instead.
  const isNamed = role !== undefined && database !== undefined;
  const configured = isNamed
    ? {}
    : loginOf(loadConfig({ file: options.config, env: terminal.env, serves: false }));
  const names = {
    role: role ?? configured.role ?? 'mutual_rooms',
    database: database ?? configured.database ?? 'synapse',
    schema,
  };
  terminal.out(sqlFor(names));
}

function sqlFor(names: GrantNames): string {
  try {
    return grantsSql(names);
  } catch (error) {
    if (!(error instanceof PublicError)) throw error;
    throw new CommandError(error.message, { exitCode: exitCodes.usage, cause: error });
  }
}

function loginOf({ source }: Config): { role?: string | undefined; database?: string | undefined } {
  if (source?.synapse === undefined) return {};
  const { url, user, database } = source.synapse.postgres;
  if (url === undefined) return { role: user, database };
  const { username, pathname, searchParams } = new URL(url);
  return {
    role: searchParams.get('user') ?? decoded(username),
    database: decoded(pathname.slice(1)),
  };
}

function decoded(part: string): string | undefined {
  return part === '' ? undefined : decodeURIComponent(part);
}
