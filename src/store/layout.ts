/**
 * What is written in a data directory, and where: the format of the store. native-notes.md has it for readers in other
 * languages; whoever changes it here changes it there, and `storeFormat` with it.
 *
 * Invariant I2: a batch and its cursor commit together or not at all. So everything is in one LMDB environment.
 */
/**
 * The format that this version writes. It reads the one before, too, and carries it over when it opens a store to write.
 * Format 2 has the key `log` in `meta`, and commits without a change in `recent`; nothing else is different.
 */
export const storeFormat = 2;
export const storeFormatMin = 1;

/** The environment's file in the data directory; LMDB puts its lock file beside it, with `-lock` behind the name. */
export const storeFileName = 'index.mdb';

/** A copy that is being made (compaction): left over when the process dies, removed by the next one. */
export const unfinishedFileName = 'unfinished.mdb';

/** Names of consecutive numbers in one record: a new name rewrites about a kilobyte, and a start reads few records. */
export const namesPerBlock = 32;

/** A user in more rooms than this has a record for each partition: the largest record stays within a page of LMDB. */
export const roomsPerRecordMax = 192;

/** A user in fewer rooms than this has one record again: half, so that one room going to and fro moves nothing. */
export const roomsPerRecordMin = roomsPerRecordMax / 2;

/** Key of a block of user names. Users begin at 1. */
export function userBlockKey(block: number): number {
  return block;
}

/** Blocks of a partition's room names: 2^25 rooms have 2^20 of them. */
const roomBlockBits = 20;

export function roomBlockKey(partition: number, block: number): number {
  return partition * 2 ** roomBlockBits + block;
}

export function partitionOfRoomBlock(key: number): number {
  return key >>> roomBlockBits;
}

export function blockOfRoomBlock(key: number): number {
  return key & (2 ** roomBlockBits - 1);
}

/**
 * Key of a user's rooms in one partition, for users who have a record for each: user (u32, big-endian), then partition. So
 * the records of a user lie together, in the order of the rooms.
 */
export const partKeyBytes = 5;

export function writePartKey(target: Uint8Array, user: number, partition: number): void {
  target[0] = user >>> 24;
  target[1] = user >>> 16;
  target[2] = user >>> 8;
  target[3] = user;
  target[4] = partition;
}

export function userOfPartKey(key: Uint8Array): number {
  return ((key[0] << 24) | (key[1] << 16) | (key[2] << 8) | key[3]) >>> 0;
}

export function partitionOfPartKey(key: Uint8Array): number {
  return key[4];
}

/** A user's record is either a set in Roaring's portable form (8 bytes at least) or this: how many rooms the parts hold. */
export const partsMarkBytes = 4;

/** Identity of the numbering, and what seals page tokens. */
export interface StoredIdentity {
  readonly epoch: number;
  /** 32 bytes. */
  readonly tokenKey: Uint8Array;
}

/** A numbering that a compaction ended: how its rooms are found in the next one. */
export interface StoredEarlierEpoch {
  readonly epoch: number;
  /** When it ended, in milliseconds since 1970. */
  readonly endedAtMs: number;
  /** The rooms that were kept, as a Roaring set in portable form. The n-th of a partition has the sequence n in the next epoch. */
  readonly kept: Uint8Array;
}

/** What the records of room sets hold: changes that are not folded in yet are not counted. */
export interface StoredCounts {
  readonly memberships: number;
  /** Users with at least one room. */
  readonly users: number;
}

/** Who writes: changed by each opening, checked by each commit. */
export interface StoredOwner {
  /** Random: no two openings have the same one. */
  readonly instance: string;
  readonly host: string;
  readonly pid: number;
  /** What tells a process from a later one of the same number; empty where the system does not say. */
  readonly started: string;
}

/** Where the numbered log of commits stands. */
export interface StoredLog {
  /** The first number that `recent` has, or will have: what is below is folded into the room sets. */
  readonly first: number;
}

export interface StoredFormat {
  readonly program: string;
  readonly format: number;
}

/** What the table `meta` holds, by key. */
export interface Meta {
  format: StoredFormat;
  identity: StoredIdentity;
  /** Oldest first. */
  earlier: readonly StoredEarlierEpoch[];
  counts: StoredCounts;
  log: StoredLog;
  owner: StoredOwner;
}

/** What `StoredFormat.program` says of a store of ours. */
export const programName = 'mutual-rooms';

export function cursorKey(source: string): string {
  return `cursor:${source}`;
}
