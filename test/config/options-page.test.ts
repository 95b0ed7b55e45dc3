import { describe, expect, it } from 'vitest';
import { keys } from '../../src/config/keys.js';
import { optionsPage } from '../../src/config/options-page.js';

describe('page of options', () => {
  it('every key says what it takes and what it does, and has a variable of its own', () => {
    for (const { name, takes, description } of keys) {
      expect(takes, name).toMatch(/\S/);
      expect(description, name).toMatch(/\.$/);
    }
    expect(new Set(keys.map(({ variable }) => variable)).size).toBe(keys.length);
  });

  it('names every value once, with its variable', () => {
    const page = optionsPage();
    for (const { name, variable, children } of keys) {
      if (children.length === 0) expect(page.split(`- **\`${name}\`** (\`${variable}\`): `)).toHaveLength(2);
    }
    expect(page).toMatch(
      /`listen\.host`.*\n {2}Takes a host name or IP address, .*; default `127\.0\.0\.1`\.\n/,
    );
  });

  /** After a change of the schema: `vitest -u`, or `mutual-rooms options > src/config/README.md`. */
  it('is the one beside the schema', async () => {
    await expect(optionsPage()).toMatchFileSnapshot('../../src/config/README.md');
  });
});
