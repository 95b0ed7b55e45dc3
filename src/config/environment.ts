/**
 * The environment variables of the configuration: each is laid over the value that the file gives its key.
 *
 * A variable on a map (`MUTUAL_ROOMS_RATE_LIMIT`) replaces all of it, and those on the keys inside come after it.
 */
import { isObject as isMap } from '../base/json-object.js';
import { didYouMean } from './did-you-mean.js';
import { configFileVariable, envPrefix, type Key, keys } from './keys.js';

export type Env = Readonly<Record<string, string | undefined>>;

export interface Overlaid {
  readonly value: unknown;
  /** The variable that a key's value came from, by the key's name. */
  readonly variables: ReadonlyMap<string, string>;
  readonly faults: readonly string[];
}

export function overlayEnvironment(fromFile: unknown, env: Env): Overlaid {
  const value: unknown = fromFile === undefined || fromFile === null ? {} : structuredClone(fromFile);
  const variables = new Map<string, string>();
  const faults = unknownVariables(env);
  if (!isMap(value)) return { value, variables, faults };
  // Parents stand before their children in `keys`.
  for (const key of keys) {
    const text = env[key.variable];
    if (text === undefined) continue;
    const read = readVariable(key, text);
    if ('fault' in read) {
      faults.push(`${key.variable}: ${read.fault}`);
      continue;
    }
    setIn(value, key.path, read.value);
    variables.set(key.name, key.variable);
  }
  return { value, variables, faults };
}

/** Text that does not read as the key's kind stays text, so that the schema says what the key takes. */
function readVariable(key: Key, text: string): { value: unknown } | { fault: string } {
  if (text === '')
    return { fault: `${key.name} is given as an empty text; unset the variable, or give it a value` };
  if (text === 'null' && key.nullable) return { value: null };
  if (key.kind === 'text' || (key.kind === 'text or json' && !text.startsWith('{'))) return { value: text };
  if (key.kind === 'scalar') {
    if (text === 'true' || text === 'false') return { value: text === 'true' };
    return { value: /^-?\d+(\.\d+)?$/.test(text) ? Number(text) : text };
  }
  try {
    return { value: JSON.parse(text) };
  } catch {
    return { fault: `${key.name} must be ${key.takes}, written as JSON` };
  }
}

/** The variables that are meant for us, mistyped ones among them. */
export function variablesIn(env: Env): string[] {
  return (
    Object.keys(env)
      .filter((name) => name.startsWith(envPrefix) && env[name] !== undefined)
      // Kubernetes sets these in every pod beside a Service that is named mutual-rooms.
      .filter((name) => !/^MUTUAL_ROOMS_(SERVICE_(HOST|PORT.*)|PORT(_\d+_.*)?)$/.test(name))
      .sort()
  );
}

function unknownVariables(env: Env): string[] {
  const known = [configFileVariable, ...keys.map(({ variable }) => variable)];
  return variablesIn(env)
    .filter((name) => !known.includes(name))
    .map((name) => {
      const meant = didYouMean(
        name.slice(envPrefix.length),
        known.map((each) => each.slice(envPrefix.length)),
      );
      const hint =
        meant === undefined
          ? 'unset it; "mutual-rooms options" lists every variable'
          : `did you mean ${envPrefix}${meant}?`;
      return `${name}: there is no such variable; ${hint}`;
    });
}

export function setIn(map: Record<string, unknown>, path: readonly string[], value: unknown): void {
  let inner = map;
  for (const name of path.slice(0, -1)) {
    const next = inner[name];
    if (isMap(next)) {
      inner = next;
    } else {
      const made: Record<string, unknown> = {};
      inner[name] = made;
      inner = made;
    }
  }
  inner[path[path.length - 1]] = value;
}
