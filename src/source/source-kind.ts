/** A kind of source: its section of the configuration, and what can be done with that. */
import type { z } from 'zod';
import type { Finding } from '../base/finding.js';
import type { Source, SourceDeps } from './source.js';

/** What every source is configured with, whatever else. */
export interface SourceOptions {
  /** After so long without having been read to its end, a source makes the server not ready; null is never. */
  readonly staleAfterMs: number | null;
}

export interface SourceKind<Section extends z.ZodType, Options extends SourceOptions> {
  /** Who has the memberships, for people. */
  readonly title: string;
  /** `source.NAME`, an optional map, each key of it with its text (base/config-key.ts). */
  readonly section: Section;
  /** The texts in it that a file may hold instead: `password` is in the file that `password_file` names. */
  readonly secrets: readonly (readonly string[])[];
  /** @param written as the section lets it through, with the secrets that were in files */
  optionsOf(written: NonNullable<z.output<Section>>): Options;
  /** Looks for what is wrong, for `doctor`. It changes nothing, and is safe beside a running server. */
  examine(options: Options): Promise<Finding[]>;
  open(options: Options, deps: SourceDeps): Source;
}
