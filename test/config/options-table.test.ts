import { existsSync, readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { keys } from '../../src/config/keys.js';
import { optionsTable } from '../../src/config/options-table.js';

const readme = new URL('../../README.md', import.meta.url);

describe('options table', () => {
  it('every key says what it takes and what it does, and has a variable of its own', () => {
    for (const { name, takes, description } of keys) {
      expect(takes, name).toMatch(/\S/);
      expect(description, name).toMatch(/\.$/);
    }
    expect(new Set(keys.map(({ variable }) => variable)).size).toBe(keys.length);
  });

  it('has a row for every value', () => {
    const rows = optionsTable().split('\n');
    expect(rows[2]).toMatch(
      /^\| `listen\.host` \| `MUTUAL_ROOMS_LISTEN_HOST` \| .* \| `127\.0\.0\.1` \| .*\. \|$/,
    );
    expect(rows.filter((row) => row.includes('`rate_limit`'))).toHaveLength(1);
  });

  // Formatting pads the cells, so the cells are compared.
  it.skipIf(!existsSync(readme))('is the one in the README', () => {
    const text = readFileSync(readme, 'utf8');
    const inReadme = /<!-- options -->([^]*?)<!-- \/options -->/.exec(text)?.[1] ?? '';
    expect(cellsOf(inReadme)).toEqual(cellsOf(optionsTable()));
  });
});

function cellsOf(table: string): string[][] {
  return table
    .trim()
    .split('\n')
    .map((row) => row.split(/(?<!\\)\|/).map((cell) => cell.trim().replace(/^-+$/, '---')));
}
