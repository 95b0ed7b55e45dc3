/**
 * What travels to a shard and back. Questions and answers are typed arrays, many in one. One layout serves the inline and the
 * pooled shard, so one contract suite does too.
 *
 * Questions, in 32-bit words, one after another:
 *   page     [1, start, limit, wantsJson, userCount, users...]
 *   shares   [2, user, otherCount, others...]
 * Answers, in the same order:
 *   page     [words that follow, count, beyond, taken, jsonStart, (room, jsonEnd) * taken]
 *   shares   [words that follow, bits...], bit i of word i/32 is the i-th other
 * The JSON bytes of a batch lie in one array: `"!a:x","!b:y"`, with a comma between the rooms of one page, from the page's
 * `jsonStart` to the `jsonEnd` of its last room. Where no JSON was asked for, every `jsonEnd` is its `jsonStart`.
 */
import type { PublicErrorCode } from '../base/errors.js';
import type { NamesSubscription } from '../directory/names.js';
import type { LoadedSets, StoredState } from '../store/load.js';
import type { PartitionRange, UserNo } from '../base/ids.js';
import type { SharedRoomSums } from './room-sums.js';

export const questionKind = { page: 1, shares: 2 } as const;

export function pageQuestion(
  users: ArrayLike<number>,
  start: number,
  limit: number,
  wantsJson: boolean,
): Uint32Array {
  const words = new Uint32Array(5 + users.length);
  words[0] = questionKind.page;
  words[1] = start;
  words[2] = limit;
  words[3] = wantsJson ? 1 : 0;
  words[4] = users.length;
  for (let index = 0; index < users.length; index += 1) words[5 + index] = users[index];
  return words;
}

export function sharesQuestion(user: UserNo, others: ArrayLike<number>): Uint32Array {
  const words = new Uint32Array(3 + others.length);
  words[0] = questionKind.shares;
  words[1] = user;
  words[2] = others.length;
  for (let index = 0; index < others.length; index += 1) words[3 + index] = others[index];
  return words;
}

/** What a question costs to answer, in rooms spelled or users looked at. */
export function questionCost(question: Uint32Array): number {
  return question[0] === questionKind.page ? question[2] + question[4] : question[2];
}

/** Words of a page's answer before its rooms. */
export const pageHeaderWords = 4;

export interface Answers {
  readonly numbers: Uint32Array;
  readonly json: Uint8Array;
}

/** A copy that can be kept and sent: a view would be sent with all the memory behind it. */
export function exactCopy({ numbers, json }: Answers): Answers {
  return { numbers: numbers.slice(), json: json.slice() };
}

/** What one shard holds; a record by parts, in bytes. */
export interface ShardStats {
  readonly memberships: number;
  /** Users of this shard whose rooms are a bitmap. */
  readonly bitmaps: number;
  readonly bytes: {
    readonly handles: number;
    readonly packed: number;
    readonly bitmaps: number;
    readonly rooms: number;
  };
}

/** A task for a worker: travels as it is, so what is in it is memory of exactly its size. */
export type ShardTask =
  | { readonly kind: 'open'; readonly partitions: PartitionRange; readonly names: NamesSubscription }
  /** `progress` is shared: how much is done, and of how much. */
  | {
      readonly kind: 'load';
      readonly path: string;
      readonly expected: StoredState | undefined;
      readonly progress: Float64Array;
    }
  | { readonly kind: 'ask'; readonly questions: Uint32Array }
  | { readonly kind: 'follow'; readonly changes: Uint32Array }
  | {
      readonly kind: 'list';
      readonly first: number;
      readonly end: number;
      readonly rooms: Uint32Array | undefined;
    }
  | {
      readonly kind: 'sum';
      readonly first: number;
      readonly hashes: Int32Array;
      readonly sums: SharedRoomSums;
    }
  | { readonly kind: 'members'; readonly partition: number }
  | { readonly kind: 'stats' };

/** Errors lose their codes between threads: what was wrong with the store travels as this. */
export type LoadAnswer = LoadedSets | { readonly code: PublicErrorCode; readonly message: string };
