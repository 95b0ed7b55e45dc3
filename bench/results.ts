/**
 * Keeps what a run found: `writeResults(folder, name, results)` writes `name.json`, the raw numbers, and `name.md`, the
 * tables as they were printed. Both say under what conditions, and both are as `npm run format` would leave them.
 */
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { format, resolveConfig } from 'prettier';
import { describeConditions, type Conditions } from './conditions.js';
import { formatTable, printTable } from './harness.js';

/** One table, with what is to be said about it. */
export interface Section {
  readonly title: string;
  /** What prints this table alone. */
  readonly command?: string;
  /** Markdown, above the table. */
  readonly text?: string;
  readonly header: readonly string[];
  readonly rows: readonly (readonly string[])[];
  /** The numbers behind the rows, unrounded; without it, the JSON has the rows. */
  readonly data?: unknown;
}

export interface Results {
  readonly conditions: Conditions;
  readonly sections: readonly Section[];
}

/** Prints it as `writeResults` would write it. */
export function printSection({ title, command, text, header, rows }: Section): void {
  const above = [
    title,
    ...(command === undefined ? [] : [`$ ${command}`]),
    ...(text === undefined ? [] : [text]),
  ];
  printTable(above.join('\n\n'), header, rows);
}

/** Replaces what is there under the name, and makes the folder where it is missing. */
export async function writeResults(folder: string, name: string, results: Results): Promise<void> {
  const { conditions, sections } = results;
  const numbers = sections.map(({ title, command, header, rows, data = { header, rows } }) => ({
    title,
    command,
    data,
  }));
  await mkdir(folder, { recursive: true });
  await writeFormatted(join(folder, `${name}.json`), JSON.stringify({ conditions, sections: numbers }));
  await writeFormatted(join(folder, `${name}.md`), markdownOf(name, results));
}

function markdownOf(name: string, { conditions, sections }: Results): string {
  const lines = [`# ${name}`, '', `- \`${conditions.command}\``];
  lines.push(...describeConditions(conditions).map((line) => `- ${line}`));
  for (const { title, command, text, header, rows } of sections) {
    lines.push('', `## ${title}`);
    if (command !== undefined) lines.push('', `\`${command}\``);
    if (text !== undefined) lines.push('', text);
    const cells = rows.map((row) => row.map((cell) => cell.replaceAll('|', '\\|')));
    lines.push('', ...formatTable(header, cells));
  }
  return lines.join('\n');
}

async function writeFormatted(path: string, content: string): Promise<void> {
  const options = await resolveConfig(path);
  await writeFile(path, await format(content, { ...options, filepath: path }));
}
