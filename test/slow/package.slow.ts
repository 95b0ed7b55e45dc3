/** Does the package install elsewhere as the README says: packed, then globally, without a warning, and does it run there? */
import { execFile } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { promisify } from 'node:util';
import { expect, test } from 'vitest';
import { openFolder } from './serve-process.js';

const run = promisify(execFile);
const checkout = fileURLToPath(new URL('../..', import.meta.url));

test('a packed package installs globally without a warning, and runs', async () => {
  const folder = await openFolder();
  // The tests have built dist/; the scripts would remove it under those that run beside this one.
  await run('npm', ['pack', '--ignore-scripts', '--pack-destination', folder], { cwd: checkout });
  const [tarball] = readdirSync(folder);
  const installed = await run(
    'npm',
    ['install', '--global', '--prefer-offline', '--prefix', join(folder, 'prefix'), join(folder, tarball)],
    { cwd: folder },
  );
  const said = installed.stdout + installed.stderr;
  expect(said).not.toContain('EBADENGINE');
  expect(said).not.toContain('deprecated');
  // npm names packages whose scripts it wants approved: native modules, and not this package.
  expect(said).not.toMatch(/mutual-rooms@\S+ \(/);
  const installedTo = join(folder, 'prefix', 'lib', 'node_modules', 'mutual-rooms');
  expect(readdirSync(installedTo, { recursive: true, encoding: 'utf8' }).filter(isLeftOver)).toEqual([]);
  const { stdout } = await run(join(folder, 'prefix', 'bin', 'mutual-rooms'), ['doctor'], {
    cwd: folder,
    env: { ...process.env, MUTUAL_ROOMS_AUTH_STATIC_TOKENS: '{"t":"@a:b"}', MUTUAL_ROOMS_LISTEN_PORT: '0' },
  });
  expect(stdout).toMatch(/^ok +roaring/m);
  expect(stdout).toMatch(/^ok +lmdb/m);
});

/** What nobody who installs the package has a use for. */
function isLeftOver(name: string): boolean {
  return !name.startsWith('node_modules') && /\.(map|tsbuildinfo|slow\.ts|test\.ts)$/.test(name);
}
