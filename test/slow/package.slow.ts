/** Does the package install elsewhere as the README says: packed, then globally, without a warning, and does it run there? */
import { execFile } from 'node:child_process';
import { readFileSync, readdirSync, writeFileSync } from 'node:fs';
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

const program = `
  import { MembershipIndex, MembershipEngine, PublicError, type MembershipRecord } from 'mutual-rooms-index';
  const rows: { user_id: string; room_id: string; membership: string }[] = [
    { user_id: '@a:x', room_id: '!r:x', membership: 'join' },
    { user_id: '@b:x', room_id: '!r:x', membership: 'ban' },
  ];
  const index = new MembershipIndex();
  index.apply(rows);
  const event = { type: 'm.room.member', room_id: '!r:x', state_key: '@b:x', content: { membership: 'join' } };
  const isNews: boolean = index.applyEvent(event);
  const records: MembershipRecord[] = [...index.memberships()];
  async function main(): Promise<object> {
    const engine = await MembershipEngine.open({ shards: 1 });
    await engine.apply(records);
    const { rooms } = await engine.mutual(['@a:x', '@b:x']);
    await engine.close();
    let code = '';
    try {
      index.mutual([]);
    } catch (error) {
      if (error instanceof PublicError) code = error.code;
    }
    return { isNews, rooms, code, has: index.has('@a:x', '!r:x') };
  }
  void main().then((result) => console.log(JSON.stringify(result)));
`;

test('the index alone installs few packages, and its types need neither others nor those of Node', async () => {
  const folder = await openFolder();
  const tarball = join(folder, 'index.tgz');
  await run('node', ['.config/pack-index.js', tarball], { cwd: checkout });
  writeFileSync(join(folder, 'package.json'), '{ "private": true }');
  await run('npm', ['install', '--prefer-offline', tarball], { cwd: folder });
  const installed = JSON.parse(readFileSync(join(folder, 'package-lock.json'), 'utf8')) as {
    packages: Record<string, { optional?: boolean }>;
  };
  const needed = Object.entries(installed.packages).filter(
    ([path, { optional }]) => path !== '' && optional !== true,
  );
  // Those of roaring and piscina; the server has five times as many.
  expect(needed.length).toBeLessThan(30);
  // The one global that the program uses; there are no types of Node here.
  writeFileSync(join(folder, 'console.d.ts'), 'declare const console: { log(text: string): void };');
  const compilerOptions = {
    module: 'nodenext',
    target: 'es2023',
    lib: ['es2023'],
    strict: true,
    skipLibCheck: false,
    types: [],
    outDir: 'out',
  };
  writeFileSync(
    join(folder, 'tsconfig.json'),
    JSON.stringify({ compilerOptions, files: ['console.d.ts', 'a.mts', 'b.cts'] }),
  );
  for (const name of ['a.mts', 'b.cts']) writeFileSync(join(folder, name), program);
  const tsc = fileURLToPath(new URL('../../node_modules/typescript/bin/tsc', import.meta.url));
  await run('node', [tsc, '-p', folder], { cwd: folder });
  for (const name of ['a.mjs', 'b.cjs']) {
    const { stdout } = await run('node', [join('out', name)], { cwd: folder });
    expect(JSON.parse(stdout), name).toEqual({ isNews: true, rooms: ['!r:x'], code: 'INVALID', has: true });
  }
});

/** What nobody who installs the package has a use for. */
function isLeftOver(name: string): boolean {
  return !name.startsWith('node_modules') && /\.(map|tsbuildinfo|slow\.ts|test\.ts)$/.test(name);
}
