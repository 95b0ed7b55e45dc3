/**
 * What the endpoints answer from, as `service/` gives it to them. While the index is being opened there is none: whoever asks for it
 * gets a 503 that says how far it is.
 */
import type { Engine } from '../engine/engine.js';
import type { PageTokens } from '../engine/page-token.js';
import type { Ingest } from '../ingest/ingest.js';
import type { SourceStatus } from '../source/source.js';

export interface Backend {
  /** Undefined once questions are answered. */
  readonly starting: Starting | undefined;
  /** Where there is one, nobody else changes memberships. */
  readonly source: { readonly status: SourceStatus } | undefined;
  /** @throws PublicError UNAVAILABLE while there is nothing to answer from */
  get(): BackendParts;
}

export interface BackendParts {
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

export function startingText({ phase, share, waitsFor }: Starting): string {
  const text = `the index is being ${phase}: ${Math.floor(share * 100)} %`;
  return waitsFor === undefined ? text : `${text}; ${waitsFor}`;
}
