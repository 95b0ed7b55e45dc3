/**
 * How a key of the configuration is written down, wherever the thing is known that it configures: its check, with what it takes and
 * what it does. And the checks that several keys share.
 */
import ms, { type StringValue } from 'ms';
import { z } from 'zod';

/** What a key says about itself, beside its checks. */
export interface KeyText {
  /** Completes the sentence "KEY must be ...". */
  readonly takes: string;
  readonly description: string;
  /** Values of such keys never show in a fault. */
  readonly secret?: boolean;
  /**
   * What a wrong value is, more exactly than its kind, and without what is secret in it; undefined where there is no more to say.
   * @param inner where in the value the fault lies
   */
  readonly seen?: (value: unknown, inner: readonly PropertyKey[]) => string | undefined;
}

export function key<Schema extends z.ZodType>(schema: Schema, text: KeyText): Schema {
  return schema.meta({ ...text });
}

export const host = z.string().min(1).max(255).default('127.0.0.1');
export const port = z.int().min(0).max(65_535);
export const secret = z.string().min(1).max(4096);
export const path = z.string().min(1);

export const hostTakes = 'a host name or IP address, such as 127.0.0.1 or "::"';
export const portTakes = 'a whole number from 0 to 65535';

export const dayMs = 24 * 60 * 60 * 1000;

/** A length of time as people write it, within bounds: `msOf` reads it. */
export function duration(leastMs: number, mostMs: number): z.ZodString {
  return z.string().refine((text) => {
    const length = durationMs(text);
    return length !== undefined && length >= leastMs && length <= mostMs;
  });
}

/** @param checked what `duration` has let through. @returns milliseconds */
export function msOf(checked: string): number;
export function msOf(checked: string | null): number | null;
export function msOf(checked: string | null): number | null {
  return checked === null ? null : (durationMs(checked) ?? null);
}

/** @returns undefined for what is none, and for a number that does not say of what */
function durationMs(text: string): number | undefined {
  return /^[\d.]+ *[a-z]+$/i.test(text) ? ms(text as StringValue) : undefined;
}
