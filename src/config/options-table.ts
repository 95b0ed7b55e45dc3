/**
 * The table of every configuration key in Markdown, for the README: the schema is the only place that knows them.
 */
import { type Key, keys } from './keys.js';

/** Lines of a Markdown table. A map has a row only where the map itself means something: it can be left out or null. */
export function optionsTable(): string {
  const rows = keys
    .filter(({ children, optional, nullable }) => children.length === 0 || optional || nullable)
    .map((key) => [`\`${key.name}\``, `\`${key.variable}\``, key.takes, defaultOf(key), key.description]);
  return [
    ['Key', 'Environment variable', 'Takes', 'Default', 'What it does'],
    ['---', '---', '---', '---', '---'],
    ...rows,
  ]
    .map((cells) => `| ${cells.map((cell) => cell.replaceAll('|', '\\|')).join(' | ')} |`)
    .join('\n');
}

function defaultOf(key: Key): string {
  if (key.defaultText !== undefined) return `\`${key.defaultText.replaceAll('"', '')}\``;
  if (key.optional) return 'none';
  return key.children.length > 0 ? 'see its keys' : 'must be given';
}
