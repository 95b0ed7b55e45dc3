/**
 * Page tokens: where the next page starts, sealed so that they open only for the endpoint and the two users they were
 * made for, tell nothing, and cannot be made up.
 *
 *   token   = base64url(version, nonce, AES-256-GCM(epoch, start, issuedAt), tag)     58 characters
 *   version = 1                                                            1 byte
 *   nonce   = random                                                      12 bytes
 *   sealed  = epoch (u32), start (u32), issuedAt (u48, ms since 1970)     14 bytes, big-endian
 *   tag                                                                   16 bytes
 * The purpose and both users are the additional data: not in the token, but part of what the tag proves.
 *
 * The grammar [0-9A-Za-z-_] and the length are those of an opaque identifier (Matrix specification, appendices).
 * A random nonce is safe for 2^32 tokens of one key by NIST SP 800-38D. The key of the identity lives for years, so each
 * day has a key of its own, made from it by HMAC-SHA256: 50,000 tokens a second may be sealed.
 *
 * Invariant I7: a token opens only for the pair, the purpose and the format it was made for, in its own epoch and those after it.
 * Cost: about 5 us to make or open one; only pages that are not the last have one.
 */
import { createCipheriv, createDecipheriv, createHmac } from 'node:crypto';
import { systemClock, systemRandom, type Clock, type RandomBytes } from '../base/clock.js';
import { PublicError } from '../base/errors.js';
import { pageTokenLifetimeMs } from '../base/limits.js';
import type { Identity } from '../store/store.js';

const version = 1;
const nonceBytes = 12;
const sealedBytes = 14;
const tagBytes = 16;
const dayMs = 24 * 60 * 60_000;
/** How far the clock may have been set back since a token was made, as when it is put right by a time server. */
const skewMaxMs = 60_000;
/** Keys of days that are kept: more than are asked for at once. */
const keysMax = 8;
const tokenBytes = 1 + nonceBytes + sealedBytes + tagBytes;

export interface PageTokensOptions {
  /** Tokens open as long as it is the same. */
  readonly identity: Identity;
  readonly clock?: Clock;
  readonly random?: RandomBytes;
}

/** What a token is for, beside its position. */
export interface TokenBinding {
  /** The question it continues. All spellings of one question are one purpose. */
  readonly purpose: string;
  readonly userId: string;
  readonly otherId: string;
}

export class PageTokens {
  readonly #identity: Identity;
  /** By day. */
  readonly #keys = new Map<number, Buffer>();
  readonly #clock: Clock;
  readonly #random: RandomBytes;

  constructor({ identity, clock = systemClock, random = systemRandom }: PageTokensOptions) {
    this.#identity = identity;
    this.#clock = clock;
    this.#random = random;
  }

  seal(start: number, binding: TokenBinding): string {
    const token = Buffer.allocUnsafe(tokenBytes);
    token[0] = version;
    this.#random(nonceBytes).copy(token, 1);
    const plain = Buffer.allocUnsafe(sealedBytes);
    plain.writeUInt32BE(this.#identity.epoch, 0);
    plain.writeUInt32BE(start, 4);
    const nowMs = this.#clock.nowMs();
    plain.writeUIntBE(nowMs, 8, 6);
    const cipher = createCipheriv(
      'aes-256-gcm',
      this.#keyOf(dayOf(nowMs)),
      token.subarray(1, 1 + nonceBytes),
    );
    cipher.setAAD(additionalData(binding));
    cipher.update(plain).copy(token, 1 + nonceBytes);
    cipher.final();
    cipher.getAuthTag().copy(token, 1 + nonceBytes + sealedBytes);
    return token.toString('base64url');
  }

  /** @returns the start of the page. @throws PublicError INVALID_TOKEN, the same for every fault, but for age and epoch */
  open(text: string, binding: TokenBinding): number {
    const token = Buffer.from(text, 'base64url');
    // Decoding forgives what is no base64url; only what encodes back to itself is a token of ours.
    if (token.length !== tokenBytes || token[0] !== version || token.toString('base64url') !== text)
      throw invalid();
    const nowMs = this.#clock.nowMs();
    const today = dayOf(nowMs);
    // Yesterday's shortly after midnight; tomorrow's shortly before it, when the clock was set back.
    const plain =
      this.#decipher(token, binding, today) ??
      this.#decipher(token, binding, today - 1) ??
      this.#decipher(token, binding, today + 1);
    if (plain === undefined) throw invalid();
    const ageMs = nowMs - plain.readUIntBE(8, 6);
    // From further ahead it would live longer than it says.
    if (ageMs > pageTokenLifetimeMs || ageMs < -skewMaxMs) throw expired();
    return this.#startNow(plain.readUInt32BE(4), plain.readUInt32BE(0));
  }

  /** @returns undefined when the token was not sealed on that day for this */
  #decipher(token: Buffer, binding: TokenBinding, day: number): Buffer | undefined {
    const decipher = createDecipheriv('aes-256-gcm', this.#keyOf(day), token.subarray(1, 1 + nonceBytes));
    decipher.setAAD(additionalData(binding));
    decipher.setAuthTag(token.subarray(1 + nonceBytes + sealedBytes));
    const plain = decipher.update(token.subarray(1 + nonceBytes, 1 + nonceBytes + sealedBytes));
    try {
      decipher.final();
      return plain;
    } catch {
      return undefined;
    }
  }

  #keyOf(day: number): Buffer {
    let key = this.#keys.get(day);
    if (key === undefined) {
      key = createHmac('sha256', this.#identity.tokenKey).update(`page token ${day}`).digest();
      // Three days are asked for; those before them are not any more.
      if (this.#keys.size >= keysMax) this.#keys.clear();
      this.#keys.set(day, key);
    }
    return key;
  }

  /** Where a page begins in the numbering of now that began at `start` in the one of `epoch`. */
  #startNow(start: number, epoch: number): number {
    if (epoch === this.#identity.epoch) return start;
    const { earlier } = this.#identity;
    const from = earlier.findIndex((each) => each.epoch === epoch);
    if (from === -1) throw expired();
    // Each compaction since has numbered the rooms anew, in the same order.
    return earlier.slice(from).reduce((at, each) => each.translate(at), start);
  }
}

function dayOf(ms: number): number {
  return Math.floor(ms / dayMs);
}

/** JSON keeps ("ab","c") and ("a","bc") apart. */
function additionalData({ purpose, userId, otherId }: TokenBinding): Buffer {
  return Buffer.from(JSON.stringify([purpose, userId, otherId]));
}

function invalid(): PublicError {
  return new PublicError(
    'INVALID_TOKEN',
    'the page token was not made for this request: send next_batch as it was received, with the same user_id and account',
  );
}

function expired(): PublicError {
  return new PublicError('INVALID_TOKEN', 'the page token has expired: start again from the first page');
}
