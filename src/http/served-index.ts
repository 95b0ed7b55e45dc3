/**
 * What the endpoints answer from. While the index is being opened there is none: whoever asks for it gets a 503 that says
 * how far it is.
 */
import { PublicError } from '../base/errors.js';
import type { Engine } from '../engine/engine.js';
import type { PageTokens } from '../engine/page-token.js';
import type { Ingest } from '../ingest/ingest.js';
import type { SourceStatus } from '../source/source-status.js';

/** A source that feeds the index while it serves. */
export interface LiveSource {
  readonly status: SourceStatus;
}

export interface ServedIndex {
  readonly engine: Engine;
  readonly ingest: Ingest;
  readonly tokens: PageTokens;
  readonly store: { readonly lostTo: string | undefined };
}

/** How far a start has come. */
export interface Starting {
  /** What is done, to follow on "the index is being". */
  readonly phase: 'opened' | 'checked' | 'compacted' | 'loaded' | 'copied' | 'updated';
  /** From 0 to 1. */
  readonly share: number;
  /** What it waits for, where that is not in its own hands. */
  readonly waitsFor?: string | undefined;
}

const retryAfterSeconds = 2;

export class IndexInService {
  #index: ServedIndex | undefined;
  #starting: Starting = { phase: 'opened', share: 0 };
  /** Where there is one, nobody else changes the index. */
  source: LiveSource | undefined;

  /** Undefined once there is an index. */
  get starting(): Starting | undefined {
    return this.#index === undefined ? this.#starting : undefined;
  }

  /** Says how far it is. */
  tell(starting: Starting): void {
    this.#starting = starting;
  }

  open(index: ServedIndex): void {
    this.#index = index;
  }

  /** @throws PublicError UNAVAILABLE while there is none */
  get(): ServedIndex {
    if (this.#index !== undefined) return this.#index;
    // What it waits for is for operators: it may say where the database is.
    const text = startingText({ ...this.#starting, waitsFor: undefined });
    throw new PublicError('UNAVAILABLE', text, { retryAfterSeconds });
  }
}

export function startingText({ phase, share, waitsFor }: Starting): string {
  const text = `the index is being ${phase}: ${Math.floor(share * 100)} %`;
  return waitsFor === undefined ? text : `${text}; ${waitsFor}`;
}
