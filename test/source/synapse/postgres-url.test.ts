/** What of a wrong URL may be shown, and is no password ever shown, whatever form the URL has? */
import { expect, it } from 'vitest';
import { isPostgresUrl, postgresUrlSeen } from '../../../src/source/synapse/database/postgres-url.js';

it.each([
  ['mysql://reader@db/synapse', 'mysql://reader@db/synapse'],
  ['postgres//reader@db:5433/synapse', undefined],
  ['db.example.org:5432/synapse', 'db.example.org:5432/synapse'],
  ['reader@db/synapse', 'reader@db/synapse'],
  ['http://reader:secret@db/synapse', 'http://reader:***@db/synapse'],
  ['postgres://reader:se/c?r@e#t@db:port/synapse', 'postgres://reader:***@db:port/synapse'],
  ['', undefined],
])('%j is shown as %j', (url, shown) => {
  expect(postgresUrlSeen(url)).toBe(shown && JSON.stringify(shown));
});

it.each([
  'mysql://reader:secret/synapse',
  'reader:secret',
  'postgres://reader:secret',
  'host=db user=reader password=secret',
  'postgres://db:x/synapse?user=reader&password=secret',
  'postgres://reader@db:x/synapse?password=a@secret',
  'postgres://reader:x@db:x/synapse?password=a@secret:y',
  'postgres://reader@db:x/synapse#secret',
  '"secret"',
  'my secret',
])('%j does not tell its secret', (url) => {
  expect(isPostgresUrl(url)).toBe(false);
  expect(postgresUrlSeen(url) ?? '').not.toContain('secret');
});
