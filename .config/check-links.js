// Checks that every relative link on every page of a package leads to a file of that package.
import { execFileSync } from 'node:child_process';
import { existsSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs';
import { basename, dirname, join, resolve } from 'node:path';

const [tarball] = process.argv.slice(2);
const folder = mkdtempSync(join(dirname(tarball), 'links-'));
const broken = [];
try {
  // Named relative to where it runs: to some tars a colon, as in C:\, means another machine.
  execFileSync('tar', ['-xzf', join('..', basename(tarball))], { cwd: folder });
  const root = join(folder, 'package');
  const pages = readdirSync(root, { recursive: true }).filter((name) => name.endsWith('.md'));
  for (const page of pages) {
    const text = readFileSync(join(root, page), 'utf8').replace(/^```.*?^```/gms, '');
    for (const [, link] of text.matchAll(/\]\(([^)\s#]+)[^)]*\)/g)) {
      if (/^[a-z]+:/i.test(link)) continue;
      if (!existsSync(resolve(root, dirname(page), link))) broken.push(`${page}: ${link}`);
    }
  }
  console.log(`links of ${pages.length} pages checked`);
} finally {
  rmSync(folder, { recursive: true, force: true });
}
for (const link of broken) console.error(`leads to nothing in the package: ${link}`);
if (broken.length > 0) process.exitCode = 1;
