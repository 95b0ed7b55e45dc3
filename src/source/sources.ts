/**
 * Every kind of source, by its name in the configuration: the one place that knows them. The rest of the server has what is
 * configured, and what can be done with it.
 */
import type { z } from 'zod';
import type { Finding } from '../base/finding.js';
import type { Source, SourceDeps } from './source.js';
import type { SourceKind, SourceOptions } from './source-kind.js';
import { synapseSource } from './synapse/synapse-source.js';

const kinds = { synapse: synapseSource };

type Kinds = typeof kinds;
type Name = keyof Kinds;
type AnyKind = SourceKind<z.ZodType, SourceOptions>;

/** One of them has its options. */
export type ConfiguredSources = {
  readonly [Each in Name]?: ReturnType<Kinds[Each]['optionsOf']> | undefined;
};

/** As the schema of the configuration has them. */
export type WrittenSources = { readonly [Each in Name]?: z.output<Kinds[Each]['section']> };

export const sourceNames = Object.keys(kinds) as readonly Name[];

/** What may stand in `source`. */
export const sourceSections = Object.fromEntries(
  sourceNames.map((name) => [name, kinds[name].section]),
) as unknown as { readonly [Each in Name]: Kinds[Each]['section'] };

/** Where in `source` texts stand that files may hold instead. */
export const sourceSecrets: readonly (readonly string[])[] = sourceNames.flatMap((name) =>
  kinds[name].secrets.map((path) => [name, ...path]),
);

export function sourceOptions(written: WrittenSources): ConfiguredSources | undefined {
  for (const name of sourceNames) {
    const section = written[name];
    if (section !== undefined) return { [name]: kindOf(name).optionsOf(section) } as ConfiguredSources;
  }
  return undefined;
}

/** The source of a configuration. */
export interface ConfiguredSource {
  readonly name: string;
  readonly title: string;
  readonly staleAfterMs: number | null;
  examine(): Promise<Finding[]>;
  open(deps: SourceDeps): Source;
}

export function configuredSource(configured: ConfiguredSources | undefined): ConfiguredSource | undefined {
  for (const name of sourceNames) {
    const options = configured?.[name];
    if (options === undefined) continue;
    const kind = kindOf(name);
    return {
      name,
      title: kind.title,
      staleAfterMs: options.staleAfterMs,
      examine: () => kind.examine(options),
      open: (deps) => kind.open(options, deps),
    };
  }
  return undefined;
}

/** Its section and its options are its own: nobody here looks into them. */
function kindOf(name: Name): AnyKind {
  return kinds[name];
}
