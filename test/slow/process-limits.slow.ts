/**
 * Is it said which limit to raise when a process may not have what it needs? Real limits of real processes: address space, open
 * files, and folders that cannot be made.
 */
import { spawnSync } from 'node:child_process';
import { readdirSync } from 'node:fs';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { describe, expect, test } from 'vitest';
import { joins, storeOf } from '../store/kept-store.js';
import { openFolder } from './serve-process.js';

const cli = new URL('../../dist/cli.js', import.meta.url).pathname;
const canLimit = spawnSync('prlimit', ['--version']).status === 0;
if (!canLimit) console.warn('skipped: limits of processes, because there is no prlimit');

/** Ends by itself, or is killed. */
const timeoutMs = 60_000;

function limited(limit: string, ...args: string[]): { code: number | null; output: string } {
  const { status, stdout, stderr } = spawnSync('prlimit', [limit, process.execPath, cli, ...args], {
    encoding: 'utf8',
    timeout: timeoutMs,
    killSignal: 'SIGKILL',
  });
  return { code: status, output: stdout + stderr };
}

async function configOf(dataDir: string, more = ''): Promise<string> {
  const config = join(await openFolder(), 'config.yaml');
  await writeFile(
    config,
    `listen: { port: 0 }\ndata_dir: ${dataDir}\nshards: 1\nlog_level: error\n${more}auth: { static_tokens: { a: "@alice:x" } }\n`,
  );
  return config;
}

describe.runIf(canLimit)('of address space', () => {
  test.each([1.2e9, 12e9, 14e10])(
    '%d bytes: a server says what it needs, of a new store and of an old one',
    async (bytes) => {
      for (const dataDir of [join(await openFolder(), 'new'), await storeOf([joins('@a:x', '!r')])]) {
        const { code, output } = limited(`--as=${bytes}`, 'serve', '--config', await configOf(dataDir));
        expect(code).toBe(1);
        expect(output).toMatch(
          /^\{"level":60,.*"msg":"(cannot map \d+ bytes .*(store\.bytes_max|ulimit -v)|there is too little memory )/m,
        );
        expect(output).not.toMatch(/damaged|^ +at |RangeError|"stack"/m);
      }
    },
  );

  test('what is mapped follows store.bytes_max', async () => {
    const config = await configOf('/proc/none', 'store: { bytes_max: 1GiB }\n');
    expect(limited('--as=3e10', 'serve', '--config', config).output).not.toContain('cannot map');
  });

  // Node's own WebAssembly reserves ten of them.
  test.each([1.2e9, 30e9])('%d bytes: commands work, or say what they need', async (bytes) => {
    const dataDir = await storeOf([joins('@a:x', '!r')]);
    const folder = await openFolder();
    for (const command of [['verify'], ['export'], ['backup', join(folder, 'copy')], ['compact']]) {
      const { code, output } = limited(`--as=${bytes}`, ...command, '--data-dir', dataDir);
      if (bytes > 10e9) expect(code, output).toBe(0);
      else
        expect(output).toMatch(
          /^mutual-rooms: (cannot map \d+ bytes of .*index\.mdb: .*|there is too little memory .*)ulimit -v\b/m,
        );
      expect(output).not.toContain('damaged');
    }
    expect(readdirSync(dataDir)).not.toContain('unfinished.mdb');
  });
});

test.runIf(canLimit).each([20, 26, 40, 64, 100])('%d open files: what to raise', async (files) => {
  const config = await configOf(join(await openFolder(), 'data'));
  expect(limited(`--nofile=${files}`, 'serve', '--config', config)).toEqual({
    code: 1,
    output: `mutual-rooms: this process may open ${files} files, and needs 256 at least: raise its limit (ulimit -n) to 1024 or more\n`,
  });
});

test.runIf(canLimit)('a folder that can never be made ends the server at once', async () => {
  const { code, output } = limited('--nofile=4096', 'serve', '--config', await configOf('/proc/none/data'));
  expect(code).toBe(1);
  expect(output).toMatch(
    /^\{"level":60,.*"msg":"data_dir \/proc\/none\/data cannot be used \(ENOENT.*\): name another folder"\}$/m,
  );
});
