/**
 * By how much does a process grow that holds a peer's memberships and nothing else? `growthOf` forks this file.
 */
import { fileURLToPath } from 'node:url';
import { answerOrder, residentBytes, runChild } from '../child.js';
import { Population, type PopulationOptions } from '../data/population.js';
import { localPeers, type LocalPeerName } from './local-peers.js';
import { memberBatches, type LocalPeer } from './peer.js';

interface Order extends Required<PopulationOptions> {
  readonly peer: LocalPeerName;
}

/** @returns growth of the resident set, in bytes */
export async function growthOf(peer: LocalPeerName, { users, rooms, seed }: Population): Promise<number> {
  const order: Order = { peer, users, rooms, seed };
  return runChild<number>(new URL(import.meta.url), order, ['--max-semi-space-size=1']);
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

if (process.argv[1] === fileURLToPath(import.meta.url)) await answerOrder(measure);
