/** What does who starts it see? `start`, `import` beside a start, the log from its first line, and a module that does not load. */
import { spawn } from 'node:child_process';
import { once } from 'node:events';
import { mkdir, writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { freePort } from '../servers/free-port.js';
import { openFolder, runCommand, serveWith, until } from './serve-process.js';

const cli = new URL('../../dist/cli.js', import.meta.url).pathname;

const common = 'auth: { static_tokens: { t: "@a:b" } }\nservice_token: secret\nshards: 0\n';

async function writeConfig(folder: string, yaml: string): Promise<string> {
  const file = join(folder, 'config.yaml');
  await writeFile(file, common + yaml, { mode: 0o600 });
  return file;
}

interface Line {
  readonly level: number;
  readonly msg: string;
  readonly [key: string]: unknown;
}

/** Every line of it must be JSON. */
function logLines(text: string): Line[] {
  return text
    .trim()
    .split('\n')
    .map((line) => JSON.parse(line) as Line);
}

/** Runs the command to its end. */
async function ended(args: string[], env: Record<string, string> = {}) {
  const child = spawn(process.execPath, [cli, ...args], {
    env: { ...process.env, ...env },
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  const [code] = (await once(child, 'close')) as [number | null];
  return { code, out, err };
}

test('start serves what the environment alone configures', async () => {
  const dataDir = join(await openFolder(), 'data');
  const child = spawn(process.execPath, [cli, 'start'], {
    env: {
      ...process.env,
      MUTUAL_ROOMS_HOMESERVER_URL: 'http://127.0.0.1:1',
      MUTUAL_ROOMS_LISTEN_PORT: '0',
      MUTUAL_ROOMS_DATA_DIR: dataDir,
    },
    stdio: ['ignore', 'pipe', 'ignore'],
  });
  onTestFinished(() => void child.kill('SIGKILL'));
  let out = '';
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  await until(() => (out.includes('\n') ? true : undefined));
  expect(out).toMatch(/^mutual-rooms listens on http:\S+ \(/);
  expect(out).toContain(`store in ${dataDir}`);
});

test('an import that begins before its server waits for it, and leaves one line in its log', async () => {
  const folder = await openFolder();
  const config = await writeConfig(folder, `listen: { port: ${await freePort()} }\n`);
  const records = Array.from(
    { length: 30_000 },
    (_, user) => `{"user_id":"@u${user}:x","room_id":"!r:x","membership":"join"}`,
  );
  const file = join(folder, 'lines.ndjson');
  await writeFile(file, [...records, '{"user_id":"none"}'].join('\n'));
  const importing = ended(['import', file, '--config', config]);
  // Long enough for a first try that nobody answers.
  await new Promise((resolve) => setTimeout(resolve, 1500));
  const server = await serveWith(config);
  const { code, out, err } = await importing;
  expect(err).toMatch(
    /^no server answers at http:\S+ \(ECONNREFUSED\): trying again for up to 30 s\nline 30001: /,
  );
  expect(out).toMatch(/^applied 30000, ignored 0, rejected 1 in /);
  expect(code).toBe(0);

  server.child.kill('SIGTERM');
  await once(server.child, 'close');
  const lines = logLines(server.output().replace(/^mutual-rooms listens.*\n/m, ''));
  expect(lines.filter(({ msg }) => msg === 'memberships came in')).toEqual([
    expect.objectContaining({ applied: 30_000, ignored: 0, rejected: 1, seconds: expect.any(Number) }),
  ]);
  expect(server.output()).not.toMatch(/@u\d|!r:x/);
});

test('an error that ends a start is the last line of the log, and nothing before it says that all is well', async () => {
  const folder = await openFolder();
  await mkdir(join(folder, 'data'));
  await writeFile(join(folder, 'data', 'PG_VERSION'), '15');
  const { code, out, err } = await ended([
    'serve',
    '--config',
    await writeConfig(folder, 'listen: { port: 0 }\n'),
  ]);
  expect(code).toBe(1);
  expect(out).toBe('');
  const lines = logLines(err);
  expect(lines[0].msg).toMatch(/^listening on http:\S+; what needs the index gets 503 until it is loaded$/);
  expect(lines.at(-1)).toMatchObject({ level: 60, msg: expect.stringMatching(/PG_VERSION/) });
});

test('a native module of another Node is told by every command that needs it, with what helps', async () => {
  const folder = await openFolder();
  const hook = join(folder, 'other-node.mjs');
  // What Node itself throws; the module that is installed was built for this Node.
  await writeFile(
    hook,
    `process.dlopen = (module, file) => {
      throw Object.assign(new Error("Module did not self-register: '" + file + "'."), { code: 'ERR_DLOPEN_FAILED' });
    };`,
  );
  const config = await writeConfig(folder, 'listen: { port: 0 }\n');
  await (await LmdbStore.open({ directory: join(folder, 'data') })).close();
  const env = { NODE_OPTIONS: `--import=${hook}` };
  for (const command of ['serve', 'verify', 'export', 'compact']) {
    const { code, err } = await ended([command, '--config', config], env);
    expect(err, command).toMatch(
      /^mutual-rooms: a native module does not load on Node \d+\.\d+\.\d+: run "npm reb/,
    );
    expect(err, command).toMatch(/\(Node said: .*did not self-register.*\)\n$/);
    expect(code, command).toBe(1);
  }
  const { out } = await ended(['doctor', '--config', config], env);
  expect(out).toMatch(/^FAIL {2}roaring: a native module does not load on Node .*: run "npm rebuild"/m);
  expect(out).toMatch(/^FAIL {2}lmdb: a native module does not load on Node .*: run "npm rebuild"/m);
});

test('a large demo says what it does, and counts no commits without a store', async () => {
  const { child, output } = runCommand('demo', '--port', '0', '--users', '100000');
  onTestFinished(() => void child.kill('SIGKILL'));
  await until(() => (output().includes('Making up a community of 100000 users') ? true : undefined));
  const url = await until(() => /listens on (http:[^ ]+)/.exec(output())?.[1]);
  const metrics = await (await fetch(`${url}/metrics`)).text();
  expect(metrics).toMatch(/^mutual_rooms_memberships\S* [1-9]/m);
  expect(metrics).toMatch(/^mutual_rooms_store_commit_duration_seconds_count 0$/m);
});
