/** Where a server that listens on an address is reached from the same machine. */
import { httpUrl } from '../base/http-url.js';
import type { Address } from '../config/load.js';

/** "Every address" is no address to call, so the loopback of the same family stands in for it. */
const callable = new Map([
  ['0.0.0.0', '127.0.0.1'],
  ['::', '::1'],
]);

export function serverUrl({ host, port }: Address): string {
  return httpUrl(callable.get(host) ?? host, port);
}
