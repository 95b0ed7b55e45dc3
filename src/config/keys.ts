/**
 * The schema as a list of keys: what the environment variables, the wording of faults and the README table share.
 *
 * Cost: the schema is walked once, when this file is loaded.
 */
import { z } from 'zod';
import type { KeyText } from '../base/config-key.js';
import { schema } from './schema.js';

export const envPrefix = 'MUTUAL_ROOMS_';

/** Names the configuration file itself, so it is no key of it. */
export const configFileVariable = `${envPrefix}CONFIG`;

export interface Key extends KeyText {
  readonly path: readonly string[];
  /** The path as people write it: `listen.port`. */
  readonly name: string;
  readonly variable: string;
  /** How text from the environment is read. */
  readonly kind: 'text' | 'scalar' | 'json' | 'text or json';
  /** Keys inside; empty for a value. */
  readonly children: readonly string[];
  /** Keys of the map that may be given in place of a text. */
  readonly parts: readonly string[];
  readonly nullable: boolean;
  readonly optional: boolean;
  /** As JSON; undefined when there is none. */
  readonly defaultText: string | undefined;
}

/** Every key, parents before their children. */
export const keys: readonly Key[] = walk(schema, []);

const keyByName = new Map(keys.map((key) => [key.name, key]));

/** The key at `path`, or the nearest one above it (a path may lead into a map, as in `auth.static_tokens`). */
export function keyAt(path: readonly PropertyKey[]): Key | undefined {
  for (let length = path.length; length > 0; length--) {
    const key = keyByName.get(path.slice(0, length).map(String).join('.'));
    if (key !== undefined) return key;
  }
  return undefined;
}

/** The keys that may stand at `path`: `[]` is the top of the file. */
export function childrenAt(path: readonly PropertyKey[]): readonly string[] {
  if (path.length === 0) return Object.keys(schema.shape);
  const key = keyAt(path);
  return key === undefined ? [] : [...key.children, ...key.parts];
}

function walk(object: z.ZodObject, above: readonly string[]): Key[] {
  return Object.entries(object.shape as Record<string, z.ZodType>).flatMap(([last, child]) => {
    const path = [...above, last];
    const { inner, nullable, optional, defaultValue } = unwrap(child);
    const key: Key = {
      // The cast holds because every key of the schema is made by its `key()`; test/config looks.
      ...(child.meta() as unknown as KeyText),
      path,
      name: path.join('.'),
      variable: envPrefix + path.join('_').toUpperCase(),
      kind: kindOf(inner),
      children: inner instanceof z.ZodObject ? Object.keys(inner.shape) : [],
      parts: mapIn(inner),
      nullable,
      optional,
      defaultText: defaultValue === undefined ? undefined : JSON.stringify(defaultValue),
    };
    return inner instanceof z.ZodObject ? [key, ...walk(inner, path)] : [key];
  });
}

/** Keys of the map that is one of several forms of a value. */
function mapIn(inner: z.ZodType): string[] {
  if (!(inner instanceof z.ZodUnion)) return [];
  return inner.options.flatMap((option) => (option instanceof z.ZodObject ? Object.keys(option.shape) : []));
}

function kindOf(inner: z.ZodType): Key['kind'] {
  if (inner instanceof z.ZodString || inner instanceof z.ZodEnum) return 'text';
  if (mapIn(inner).length > 0) return 'text or json';
  return inner instanceof z.ZodObject || inner instanceof z.ZodRecord ? 'json' : 'scalar';
}

function unwrap(outer: z.ZodType): {
  inner: z.ZodType;
  nullable: boolean;
  optional: boolean;
  defaultValue: unknown;
} {
  let inner = outer;
  let nullable = false;
  let optional = false;
  let defaultValue: unknown;
  while (true) {
    if (inner instanceof z.ZodNullable) nullable = true;
    else if (inner instanceof z.ZodOptional) optional = true;
    else if (inner instanceof z.ZodDefault) defaultValue = inner.def.defaultValue;
    else if (!(inner instanceof z.ZodPrefault)) return { inner, nullable, optional, defaultValue };
    inner = inner.def.innerType as z.ZodType;
  }
}
