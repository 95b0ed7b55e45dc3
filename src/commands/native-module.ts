/**
 * What Node says when a native module does not load, with what helps: the module was built for another Node, or not at all.
 * Commands load such modules when they run, so whichever one it is, the error comes to one place.
 */
import { messageOf } from '../base/errors.js';

const advice =
  `a native module does not load on Node ${process.versions.node}: run "npm rebuild" where mutual-rooms is installed ` +
  '("npm rebuild --global" where it is global), or use the Node that it was installed with';

const signs = [
  'did not self-register',
  'NODE_MODULE_VERSION',
  'No native build was found',
  // A file that is not there, of another system, or of another libc.
  /Cannot find module '[^']*\.node'/,
  /\.node: .*(cannot open shared object file|invalid ELF header|wrong architecture|undefined symbol)/,
];

/** @returns undefined for any other error */
export function nativeModuleFault(error: unknown): string | undefined {
  // Where it was in a process of ours, what that wrote is in the message.
  const lines = messageOf(error).split('\n');
  const said = lines.find((line) => signs.some((sign) => line.search(sign) >= 0));
  const { code } = (error ?? {}) as NodeJS.ErrnoException;
  if (said === undefined && code !== 'ERR_DLOPEN_FAILED') return undefined;
  return `${advice} (Node said: ${said ?? lines[0]})`;
}
