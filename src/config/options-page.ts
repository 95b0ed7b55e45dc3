/**
 * The page that lists every key of the configuration: `mutual-rooms options`, and src/config/README.md.
 *
 * Invariant: keys come from the schema alone; a test compares the file with what is made here.
 */
import { type Key, keys } from './keys.js';

const head = `# Options

Every key of the configuration, as \`mutual-rooms options\` lists them.

The configuration is a YAML or JSON file that \`--config\` or \`MUTUAL_ROOMS_CONFIG\` names, or the environment alone. Each key
has a variable too, which goes before the file; a map is written as JSON there. An unknown key or variable is an error that says what
was meant.

A secret may stand in a file of its own, which a key that ends in \`_file\` names. Paths are relative to the configuration file. Values
of time carry their unit, such as \`50ms\` or \`30m\`.
`;

/** In Markdown. */
export function optionsPage(): string {
  const values = keys.filter(({ children }) => children.length === 0);
  const top = values.filter(({ path }) => path.length === 1);
  const sections = keys
    .filter(({ children }) => children.length > 0)
    .map((map) => ({ map, inside: values.filter(({ path }) => path.slice(0, -1).join('.') === map.name) }))
    // A map of maps only is named by those.
    .filter(({ inside }) => inside.length > 0)
    .map(({ map, inside }) => section(map, inside));
  return [head, '## At the top of the file\n', list(top), ...sections].join('\n');
}

function section(map: Key, inside: readonly Key[]): string {
  const absent = [map.optional ? 'It may be left out.' : '', map.nullable ? `It may be null.` : ''];
  const variable = `Variable for all of it: \`${map.variable}\`.`;
  const about = [map.description, ...absent, variable].filter((text) => text !== '').join(' ');
  return `## \`${map.name}\`\n\n${about}\n\n${list(inside)}`;
}

function list(values: readonly Key[]): string {
  return values.map((key) => item(key)).join('');
}

function item(key: Key): string {
  return `- **\`${key.name}\`** (\`${key.variable}\`): ${key.description}
  Takes ${key.takes}; ${defaultOf(key)}.
`;
}

function defaultOf(key: Key): string {
  if (key.defaultText !== undefined) return `default \`${key.defaultText.replaceAll('"', '')}\``;
  return key.optional ? 'default none' : 'must be given';
}
