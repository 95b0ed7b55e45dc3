/** The synchronous index and the engine under one interface: whoever asks should not be able to tell them apart. */
import type { MembershipRecord } from '../../src/base/change.js';
import { MembershipEngine } from '../../src/engine/membership-engine.js';
import { MembershipIndex } from '../../src/engine/membership-index.js';
import { runs } from '../runs.js';
import type { Applied, IndexStats, MutualOptions, MutualRooms } from '../../src/engine/questions.js';

export interface Answerer {
  join(userId: string, roomId: string): Promise<boolean>;
  leave(userId: string, roomId: string): Promise<boolean>;
  apply(records: Iterable<MembershipRecord>): Promise<Applied>;
  mutual(users: readonly string[], options?: MutualOptions): Promise<MutualRooms>;
  shares(userId: string, otherId: string): Promise<boolean>;
  sharesMany(userId: string, otherIds: readonly string[]): Promise<boolean[]>;
  roomsOf(userId: string, options?: MutualOptions): Promise<MutualRooms>;
  forgetUser(userId: string): Promise<number>;
  forgetRoom(roomId: string): Promise<number>;
  stats(): Promise<IndexStats>;
  close(): Promise<void>;
}

function fromIndex(index: MembershipIndex): Answerer {
  return {
    join: async (userId, roomId) => index.join(userId, roomId),
    leave: async (userId, roomId) => index.leave(userId, roomId),
    apply: async (records) => index.apply(records),
    mutual: async (users, options) => index.mutual(users, options),
    shares: async (userId, otherId) => index.shares(userId, otherId),
    sharesMany: async (userId, otherIds) => index.sharesMany(userId, otherIds),
    roomsOf: async (userId, options) => index.roomsOf(userId, options),
    forgetUser: async (userId) => index.forgetUser(userId),
    forgetRoom: async (roomId) => index.forgetRoom(roomId),
    stats: async () => index.stats(),
    close: async () => {},
  };
}

export interface AnswererKind {
  readonly name: string;
  readonly open: () => Promise<Answerer>;
}

export const answererKinds: readonly AnswererKind[] = [
  { name: 'MembershipIndex', open: async () => fromIndex(new MembershipIndex()) },
  ...runs([0, 2], [0, 1, 2, 7]).map((shards) => ({
    name: `MembershipEngine, shards: ${shards}`,
    open: async () => MembershipEngine.open({ shards }),
  })),
];

export function record(userId: string, roomId: string, joined = true): MembershipRecord {
  return { user_id: userId, room_id: roomId, membership: joined ? 'join' : 'leave' };
}

/** Watches whom an index is told of, so that one index can serve many tests. */
export function rememberingUsers(answerer: Answerer): Set<string> {
  const users = new Set<string>();
  const { join, apply } = answerer;
  answerer.join = async (userId, roomId) => {
    users.add(userId);
    return join.call(answerer, userId, roomId);
  };
  answerer.apply = async (records) => {
    const list = [...records];
    for (const { user_id: userId } of list) users.add(userId);
    return apply.call(answerer, list);
  };
  return users;
}
