/** Does this PostgreSQL hash texts as room-hash.ts does? Then rooms can be compared by the hashes of their members. */
import type { Connection } from './connection.js';
import { hashText } from './room-hash.js';

/** None, a part and several of the blocks that are hashed together; more bytes than characters. */
const texts = ['', '@alice:example.org', '@ä🎉:a-server-name-of-more-than-twelve-bytes.example.org'];

export async function canCompareHashes(connection: Connection): Promise<boolean> {
  const rows = await connection.query<{ text: string; hash: number }>(
    'SELECT text, hashtext(text) AS hash FROM unnest($1::text[]) AS text',
    [texts],
  );
  return rows.every(({ text, hash }) => hashText(text) === hash);
}
