/**
 * By how much does a process grow that holds a peer's memberships and nothing else? `growthOf` forks this file, with
 * --expose-gc; the child answers with one message.
 */
import { fork } from 'node:child_process';
import { once } from 'node:events';
import { fileURLToPath } from 'node:url';
import { Population, type PopulationOptions } from '../data/population.js';
import { localPeers, type LocalPeerName } from './local-peers.js';
import { memberBatches, type LocalPeer } from './peer.js';

interface Order extends Required<PopulationOptions> {
  readonly peer: LocalPeerName;
}

/** @returns growth of the resident set, in bytes */
export async function growthOf(peer: LocalPeerName, { users, rooms, seed }: Population): Promise<number> {
  const order: Order = { peer, users, rooms, seed };
  const child = fork(fileURLToPath(import.meta.url), [JSON.stringify(order)], {
    execArgv: [...process.execArgv, '--expose-gc', '--max-semi-space-size=1'],
  });
  const ended = once(child, 'exit').then(([code]) => {
    throw new Error(`the process that measures ${peer} ended with ${String(code)} and no answer`);
  });
  const [bytes] = (await Promise.race([once(child, 'message'), ended])) as [number];
  ended.catch(() => {});
  return bytes;
}

function residentBytes(): number {
  for (let round = 0; round < 4; round += 1) globalThis.gc?.();
  return process.memoryUsage.rss();
}

function filled(peer: LocalPeer, population: Population): LocalPeer {
  for (const members of memberBatches(population)) peer.add(members);
  peer.finish?.();
  return peer;
}

function measure(order: Order): number {
  const population = new Population(order);
  // The code is compiled, and the young generation has its full size, before the first look.
  filled(localPeers[order.peer](), new Population({ users: 2_000, rooms: 500 })).close?.();
  const before = residentBytes();
  const peer = filled(localPeers[order.peer](), population);
  const bytes = residentBytes() - before;
  // The peer must be there until here.
  peer.close?.();
  return bytes;
}

if (process.send !== undefined && process.argv[1] === fileURLToPath(import.meta.url)) {
  process.send(measure(JSON.parse(process.argv[2]) as Order));
}
