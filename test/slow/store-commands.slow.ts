/** Do `verify`, `export`, `backup` and `compact` take what the help says, and say what they did? */
import { execFile, spawn } from 'node:child_process';
import { once } from 'node:events';
import { existsSync, mkdirSync, readFileSync, truncateSync, writeFileSync, statSync } from 'node:fs';
import { join } from 'node:path';
import { gunzipSync } from 'node:zlib';
import { describe, expect, test } from 'vitest';
import { run } from '../../src/commands/program.js';
import { storeFileName } from '../../src/store/layout.js';
import {
  KeptStore,
  addTo,
  allIn,
  ids,
  joins,
  leaves,
  membershipsOf,
  newFolder,
  storeOf,
} from '../store/kept-store.js';
import { fakeTerminal } from '../commands/fake-terminal.js';

const cli = new URL('../../dist/cli.js', import.meta.url).pathname;

async function runIt(...args: string[]) {
  const terminal = fakeTerminal();
  const code = await run(args, terminal);
  return { code, ...terminal.written };
}

const users = ids('@', 'user', 30);
const rooms = ids('!', 'room', 10);

async function smallStore(): Promise<string> {
  const directory = await storeOf(allIn(users, rooms));
  await addTo(directory, [
    joins('@gone:x', '!gone:x'),
    leaves('@gone:x', '!gone:x'),
    ...users.slice(0, 5).flatMap((user) => rooms.map((room) => leaves(user, room))),
  ]);
  return directory;
}

test('one after the other, on one store', async () => {
  const directory = await smallStore();
  const expected = await membershipsOf(directory);
  const at = ['--data-dir', directory];
  expect(await runIt('verify', ...at)).toMatchObject({
    code: 0,
    err: '',
    out: expect.stringMatching(/^[^\n]*31 users in 11 rooms[^\n]*\n$/) as string,
  });

  const compacted = await runIt('compact', ...at);
  expect(compacted).toMatchObject({ code: 0, err: '' });
  expect(compacted.out).toMatch(
    /compacted the store in .*: users 31 -> 25, rooms 11 -> 10, bytes \d+ -> \d+, 250 memberships/,
  );

  const exported = await runIt('export', ...at);
  expect(exported).toMatchObject({
    code: 0,
    err: expect.stringMatching(/^wrote 250 memberships, one a line, to stdout in \d+\.\d s\n$/) as string,
  });
  const linesOf = (text: string): string[] =>
    text
      .trimEnd()
      .split('\n')
      .map((line) => JSON.parse(line) as { user_id: string; room_id: string })
      .map((record) => `${record.user_id} ${record.room_id}`)
      .toSorted();
  expect(linesOf(exported.out)).toEqual(expected);

  const file = join(newFolder(), 'memberships.ndjson.gz');
  expect(await runIt('export', file, ...at)).toMatchObject({
    code: 0,
    out: '',
    err: expect.stringContaining(`wrote 250 memberships, one a line, to ${file} in`) as string,
  });
  expect(linesOf(gunzipSync(readFileSync(file)).toString())).toEqual(expected);
  // Names are personal data.
  expect(statSync(file).mode & 0o077).toBe(0);

  const target = join(newFolder(), 'backup');
  const backup = await runIt('backup', target, ...at);
  expect(backup).toMatchObject({ code: 0, err: '' });
  expect(backup.out).toMatch(/\d+ bytes to .*backup in \d+\.\d s\n$/);
  expect(await membershipsOf(target)).toEqual(expected);
});

test('the folder comes from the configuration too', async () => {
  const directory = await smallStore();
  const config = join(newFolder(), 'config.yaml');
  writeFileSync(config, `data_dir: ${JSON.stringify(directory)}\n`);
  expect(await runIt('verify', '--config', config)).toMatchObject({ code: 0 });
});

describe('what cannot be done is said in one line:', () => {
  const commands: [name: string, ...args: string[]][] = [
    ['verify'],
    ['export'],
    ['compact'],
    ['backup', '/nowhere/backup'],
  ];
  test.each(commands)('%s without a store', async (...args) => {
    const nothing = newFolder();
    expect(await runIt(...args, '--data-dir', nothing)).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/^mutual-rooms: .* holds no store[^\n]*\n$/) as string,
    });
    expect(existsSync(join(nothing, storeFileName))).toBe(false);
  });

  test.each(commands)('%s in memory only', async (...args) => {
    const config = join(newFolder(), 'config.yaml');
    writeFileSync(config, 'data_dir: null\n');
    expect(await runIt(...args, '--config', config)).toMatchObject({
      code: 2,
      err: expect.stringMatching(/^mutual-rooms: .*null[^\n]*--data-dir[^\n]*\n$/) as string,
    });
  });

  test.each(commands)('%s of something else', async (...args) => {
    const folder = newFolder();
    writeFileSync(join(folder, storeFileName), 'x'.repeat(10_000));
    expect(await runIt(...args, '--data-dir', folder)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^mutual-rooms: [^\n]*no store of mutual-rooms[^\n]*\n$/) as string,
    });
    expect(readFileSync(join(folder, storeFileName), 'utf8')).toBe('x'.repeat(10_000));
  });

  test('compact while a server has it', async () => {
    const kept = await KeptStore.open(await smallStore());
    expect(await runIt('compact', '--data-dir', kept.directory)).toMatchObject({
      code: 1,
      out: '',
      err: expect.stringMatching(/in use by process \d+/) as string,
    });
    // The others do not mind.
    expect(await runIt('verify', '--data-dir', kept.directory)).toMatchObject({ code: 0 });
    expect(await runIt('export', '--data-dir', kept.directory)).toMatchObject({ code: 0 });
    expect(await runIt('backup', join(newFolder(), 'b'), '--data-dir', kept.directory)).toMatchObject({
      code: 0,
    });
    await kept.close();
  });

  test('export to where nothing can be written', async () => {
    const directory = await smallStore();
    const folder = newFolder();
    mkdirSync(join(folder, 'there'));
    expect(await runIt('export', join(folder, 'there'), '--data-dir', directory)).toMatchObject({ code: 1 });
    expect(await runIt('export', join(folder, 'not/there.ndjson'), '--data-dir', directory)).toMatchObject({
      code: 1,
      err: expect.stringMatching(/^mutual-rooms: [^\n]+\n$/) as string,
    });
  });

  test.each([['verify'], ['export'], ['compact'], ['backup', 'DIR']])(
    '%s of a damaged store, in the process that operators run',
    { timeout: 60_000 },
    async (...args) => {
      const directory = await storeOf(allIn(ids('@', 'user', 3000), rooms));
      truncateSync(join(directory, storeFileName), 3 * 4096);
      const target = join(newFolder(), 'backup');
      const { code, text } = await new Promise<{ code: unknown; text: string }>((resolve) => {
        const given = args.map((arg) => (arg === 'DIR' ? target : arg));
        execFile(process.execPath, [cli, ...given, '--data-dir', directory], (error, _, stderr) =>
          resolve({ code: error?.code ?? error?.signal ?? 0, text: stderr }),
        );
      });
      expect(text).toMatch(/^mutual-rooms: [^\n]*damaged[^\n]*put a backup in its place[^\n]*\n$/);
      expect(code).toBe(1);
    },
  );
});

test('who reads an export may stop early', async () => {
  const directory = await storeOf(allIn(ids('@', 'user', 4000), rooms));
  const child = spawn(process.execPath, [cli, 'export', '--data-dir', directory], {
    stdio: ['ignore', 'pipe', 'pipe'],
  });
  let errors = '';
  child.stderr.on('data', (text) => (errors += String(text)));
  child.stdout.once('data', () => child.stdout.destroy());
  const [code, signal] = (await once(child, 'exit')) as [number | null, string | null];
  expect({ code, signal, errors }).toEqual({ code: 0, signal: null, errors: '' });
});
