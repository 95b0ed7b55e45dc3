/** The peers that live in this process, ours first: everything is compared with it. */
import { BitmapPeer } from './bitmap-peer.js';
import { IndexPeer } from './index-peer.js';
import { MapPeer } from './map-peer.js';
import { PackedPeer } from './packed-peer.js';
import type { LocalPeer } from './peer.js';

export const localPeers = {
  index: () => new IndexPeer(),
  map: () => new MapPeer(),
  bitmap: () => new BitmapPeer(),
  packed: () => new PackedPeer(),
} as const satisfies Record<string, () => LocalPeer>;

export type LocalPeerName = keyof typeof localPeers;
