// Packs the package and checks what a consumer would get: the manifest (publint) and the types (attw).
import { execSync } from 'node:child_process';
import { mkdtempSync, readdirSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

const run = (command) => execSync(command, { stdio: ['ignore', 'inherit', 'inherit'] });

const folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-pack-'));
try {
  run(`npm pack --pack-destination "${folder}"`);
  const tarball = join(
    folder,
    readdirSync(folder).find((name) => name.endsWith('.tgz')),
  );
  run(`npx --no-install publint --strict "${tarball}"`);
  run(`npx --no-install attw --profile esm-only "${tarball}"`);
} catch (error) {
  // The command that failed has said why.
  process.exitCode = error.status ?? 1;
} finally {
  rmSync(folder, { recursive: true, force: true });
}
