// Packs the index alone, for programs that embed it: the same built files as the server's package, without those that only a
// server needs, and with the dependencies that are left. The tarball is put at the path of the first argument.
import { copyFileSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { execFileSync } from 'node:child_process';
import { dirname, join, relative, resolve } from 'node:path';
import { readdirSync, renameSync } from 'node:fs';

const [tarball] = process.argv.slice(2);
/** The face, and what it starts in a thread by its URL. */
const entries = ['dist/index.js', 'dist/shard/worker.js'];

const files = new Set();
const packages = new Set();
function add(file) {
  if (files.has(file)) return;
  files.add(file);
  const text = readFileSync(file, 'utf8');
  // Imports that are made when they are wanted are how a store is read: there is none here.
  for (const [, specifier] of text.matchAll(/^(?:import|export)\b[^'"]*['"]([^'"]+)['"];?$/gm)) {
    if (specifier.startsWith('.')) add(join(dirname(file), specifier).replace(/(\.d)?\.js$/, suffixOf(file)));
    else if (!specifier.startsWith('node:')) packages.add(specifier.split('/')[0]);
  }
}
/** Declarations import each other as if they were modules. */
const suffixOf = (file) => (file.endsWith('.d.ts') ? '.d.ts' : '.js');
for (const entry of entries) add(entry);
add('dist/index.d.ts');

const whole = JSON.parse(readFileSync('package.json', 'utf8'));
const { version, license, type, keywords, engines, exports } = whole;
const manifest = {
  name: 'mutual-rooms-index',
  version,
  description: 'Which rooms do two Matrix users share? The membership index of mutual-rooms, to embed.',
  license,
  type,
  keywords,
  engines,
  exports,
  dependencies: Object.fromEntries([...packages].sort().map((name) => [name, whole.dependencies[name]])),
};

mkdirSync(dirname(tarball), { recursive: true });
const folder = mkdtempSync(join(dirname(tarball), 'pack-index-'));
try {
  const root = join(folder, 'package');
  for (const file of files) {
    const target = join(root, relative('.', file));
    mkdirSync(dirname(target), { recursive: true });
    copyFileSync(file, target);
  }
  copyFileSync('src/engine/README.md', join(root, 'README.md'));
  writeFileSync(join(root, 'package.json'), `${JSON.stringify(manifest, undefined, 2)}\n`);
  // Through a shell, because npm is a .cmd file on Windows.
  execFileSync('npm', ['pack', '--silent', '--pack-destination', `"${resolve(folder)}"`], {
    cwd: root,
    shell: true,
    stdio: ['ignore', 'ignore', 'inherit'],
  });
  rmSync(tarball, { force: true });
  renameSync(
    join(
      folder,
      readdirSync(folder).find((name) => name.endsWith('.tgz')),
    ),
    tarball,
  );
} finally {
  rmSync(folder, { recursive: true, force: true });
}
