/** What `examine.ts` runs: one look at one side of a Synapse database, and what it finds there. */
import type { Finding } from '../../../base/finding.js';
import type { Connection } from '../database/connection.js';

/** A statement of a check is given up by the server after so long. */
export const statementMsMax = 5_000;

export interface Check {
  /** Name of the finding that says why the check could not be run. */
  readonly name: string;
  /** Tables that must be readable for it. Where one is not, an earlier check has said so, and this one is left out. */
  readonly tables?: readonly string[];
  readonly look: (connection: Connection, subject: Subject) => Promise<Finding[]>;
}

export interface Subject {
  /** Who is logged in where, as `placeOf` says it. */
  readonly place: string;
  /** What the configuration says the homeserver is called. */
  readonly serverName: string;
  /** Tables of which every column can be read that the feed reads; filled by the first check that looks at them. */
  readonly readable: Set<string>;
}
