// Packs the package to the path of its first argument, replacing what is there, so that checks can name the tarball.
import { execFileSync } from 'node:child_process';
import { mkdirSync, mkdtempSync, readdirSync, renameSync, rmSync } from 'node:fs';
import { dirname, join } from 'node:path';

const [tarball] = process.argv.slice(2);
mkdirSync(dirname(tarball), { recursive: true });
const folder = mkdtempSync(join(dirname(tarball), 'pack-'));
try {
  // Through a shell, because npm is a .cmd file on Windows.
  execFileSync('npm', ['pack', '--pack-destination', `"${folder}"`], {
    shell: true,
    stdio: ['ignore', 'inherit', 'inherit'],
  });
  rmSync(tarball, { force: true });
  renameSync(join(folder, readdirSync(folder)[0]), tarball);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
