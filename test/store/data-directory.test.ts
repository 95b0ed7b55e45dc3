/** Is what is no store of ours refused with what to do, and left as it is, byte for byte? */
import { createHash } from 'node:crypto';
import {
  copyFileSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  readdirSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { open } from 'lmdb';
import { afterAll, beforeAll, describe, expect, test } from 'vitest';
import { examineDirectory, findStore, prepareDirectory } from '../../src/store/data-directory.js';
import { programName, storeFileName, storeFormat, unfinishedFileName } from '../../src/store/layout.js';
import { LmdbStore } from '../../src/store/lmdb-store.js';
import { addTo, joins, membershipsOf, newFolder, within } from './kept-store.js';

/** A store with something in it, that each test has a copy of. */
let made: string;
beforeAll(async () => {
  made = mkdtempSync(join(tmpdir(), 'mutual-rooms-made-'));
  await addTo(made, [joins('@a:x', '!r'), joins('@b:x', '!r')]);
});
afterAll(() => rmSync(made, { recursive: true }));

function copyOfStore(): { directory: string; path: string } {
  const directory = newFolder();
  const path = join(directory, storeFileName);
  copyFileSync(join(made, storeFileName), path);
  return { directory, path };
}

/** Every file but LMDB's lock, by its bytes, and when it was changed. */
function contentOf(directory: string): unknown[] {
  return readdirSync(directory, { recursive: true, encoding: 'utf8' })
    .filter((name) => !name.endsWith('-lock'))
    .toSorted()
    .map((name) => {
      const path = join(directory, name);
      const { size, ino, mtimeMs } = statSync(path);
      if (statSync(path).isDirectory()) return [name];
      return [name, size, ino, mtimeMs, createHash('sha256').update(readFileSync(path)).digest('hex')];
    });
}

/** Opening it is refused, and changes nothing. @returns what is said */
async function refusal(directory: string): Promise<unknown> {
  const before = contentOf(directory);
  const error: unknown = await LmdbStore.open({ directory }).then(
    async (store) => {
      await store.close();
      return undefined;
    },
    (thrown: unknown) => thrown,
  );
  expect(error).toMatchObject({ name: 'PublicError', message: expect.stringContaining(directory) });
  expect(contentOf(directory)).toEqual(before);
  return error;
}

describe('a place for a store', () => {
  test('is a folder that is not there, or is empty, or has what was left unfinished', async () => {
    const directory = newFolder();
    const deep = join(directory, 'not', 'there');
    expect(examineDirectory(deep)).toEqual({
      path: join(deep, storeFileName),
      holds: 'nothing',
      exists: false,
    });
    expect(existsSync(deep)).toBe(false);
    expect(examineDirectory(directory)).toMatchObject({ holds: 'nothing', exists: true });
    mkdirSync(join(directory, 'lost+found'));
    writeFileSync(join(directory, unfinishedFileName), 'half of a store');
    writeFileSync(join(directory, `${storeFileName}-lock`), '');
    expect(examineDirectory(directory)).toMatchObject({ holds: 'nothing', exists: true });
    await addTo(directory, [joins('@a:x', '!r')]);
    expect(await membershipsOf(directory)).toEqual(['@a:x !r']);
    expect(readdirSync(directory)).not.toContain(unfinishedFileName);
    expect(examineDirectory(directory)).toMatchObject({ holds: 'store', exists: true });
  });

  test('is made by `prepareDirectory`, and no store in it', () => {
    const directory = join(newFolder(), 'a', 'b');
    expect(prepareDirectory(directory)).toMatchObject({ holds: 'nothing', exists: false });
    expect(readdirSync(directory)).toEqual([]);
  });

  test('what was left unfinished beside a store goes when the store is opened', async () => {
    const { directory, path } = copyOfStore();
    for (const suffix of ['', '-lock']) writeFileSync(join(directory, unfinishedFileName + suffix), 'half');
    const store = await LmdbStore.open({ directory });
    await store.close();
    expect(readdirSync(directory).toSorted()).toEqual([storeFileName, `${storeFileName}-lock`]);
    expect(findStore(directory)).toBe(path);
  });
});

describe('what is something else', () => {
  test('a folder of another program', async () => {
    const directory = newFolder();
    writeFileSync(join(directory, 'PG_VERSION'), '15');
    mkdirSync(join(directory, 'base'));
    expect(await refusal(directory)).toMatchObject({
      code: 'INVALID',
      message: expect.stringMatching(/holds something else \((PG_VERSION|base)\).*folder of its own/),
    });
    expect(() => findStore(directory)).toThrow(/holds no store/);
  });

  test('a folder of which LMDB’s data.mdb is', async () => {
    const directory = newFolder();
    const other = open({ path: directory });
    await other.put('key', 'value');
    await other.close();
    expect(await refusal(directory)).toMatchObject({ code: 'INVALID' });
  });

  test.each<[string, (path: string) => void]>([
    ['a text', (path) => writeFileSync(path, 'these are\nnotes of mine\n'.repeat(1000))],
    ['nothing', (path) => writeFileSync(path, '')],
    ['less than a head', (path) => writeFileSync(path, Buffer.alloc(40, 1))],
    ['zeroes', (path) => writeFileSync(path, Buffer.alloc(100_000))],
    ['noise', (path) => writeFileSync(path, Buffer.alloc(20_000, 'noise'))],
    ['a head and no more', (path) => truncateSync(path, 100)],
    ['one page', (path) => truncateSync(path, 4096)],
    ['a head of noise', (path) => damage(path, 0)],
    ['a second head of noise', (path) => damage(path, readFileSync(path).readUInt32LE(48))],
  ])('%s under the name of a store', async (_, make) => {
    const { directory, path } = copyOfStore();
    make(path);
    const error = await refusal(directory);
    expect(error).toMatchObject({ message: expect.stringMatching(/put a backup in its place/) });
    expect(['INVALID', 'DAMAGED']).toContain((error as { code: string }).code);
    expect(readdirSync(directory), 'LMDB has not opened it').toEqual([storeFileName]);
    expect(() => findStore(directory)).toThrow(/put a backup in its place/);
  });

  function damage(path: string, at: number): void {
    const bytes = readFileSync(path);
    bytes.fill(0xee, at, at + 64);
    writeFileSync(path, bytes);
  }

  test('a folder under the name of a store', async () => {
    const directory = newFolder();
    mkdirSync(join(directory, storeFileName));
    expect(await refusal(directory)).toMatchObject({ code: 'INVALID' });
  });

  test('a file in place of the folder, and a path through a file', async () => {
    const file = join(newFolder(), 'file');
    writeFileSync(file, 'text');
    for (const directory of [file, join(file, 'below')]) {
      await expect(LmdbStore.open({ directory })).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/data_dir .*file.* cannot be used .*: name another folder/),
      });
    }
    expect(readFileSync(file, 'utf8')).toBe('text');
  });
});

describe('a folder that cannot be made', () => {
  test.each(['/proc/none', '/proc/none/below', '/proc/self/fd/none', '/dev/null/below'])(
    'is said at once: %s',
    { skip: !existsSync('/proc/self') },
    async (directory) => {
      await expect(LmdbStore.open({ directory })).rejects.toMatchObject({
        code: 'UNAVAILABLE',
        message: expect.stringMatching(/^data_dir .* cannot be used \(.*\): name another folder$/) as string,
      });
    },
  );

  test('where a link leads nowhere, a name is too long, or it has a NUL', async () => {
    const folder = newFolder();
    symlinkSync(join(folder, 'nowhere', 'at all'), join(folder, 'link'));
    for (const name of ['link', 'link/below', 'x'.repeat(300), 'nul\0'])
      await expect(LmdbStore.open({ directory: join(folder, name) })).rejects.toThrow(/cannot be used/);
  });

  test('what is missing above it is made, for its owner alone', async () => {
    const folder = newFolder();
    const kept = await LmdbStore.open({ directory: join(folder, 'a/b') });
    await kept.close();
    for (const name of ['a', 'a/b']) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o700);
  });

  test.runIf(process.getuid?.() === 0)('of another user: whom to give it to', async () => {
    const folder = newFolder();
    process.seteuid!(65_534);
    try {
      await expect(LmdbStore.open({ directory: join(folder, 'data') })).rejects.toThrow(
        /cannot be used \(EACCES.*\): give it to the user of the server \(chown 65534 .*\), or name another folder$/,
      );
    } finally {
      process.seteuid!(0);
    }
  });
});

describe('an LMDB file', () => {
  test.each<[string, string | undefined]>([
    ['without tables', undefined],
    ['with other tables', 'settings'],
    ['with a table of a name of ours', 'meta'],
  ])('of another program, %s', async (_, table) => {
    const directory = newFolder();
    const other = open({ path: join(directory, storeFileName), noSubdir: true });
    if (table === undefined) await other.put('key', 'value');
    else await other.openDB({ name: table }).put('format', { program: 'other', format: 1 });
    await other.close();
    expect(await refusal(directory)).toMatchObject({
      code: 'INVALID',
      message: expect.stringMatching(
        /is the LMDB file of another program: give data_dir a folder of its own/,
      ),
    });
  });

  test.each([
    [
      storeFormat + 1,
      /has the format 3, and this version reads up to 2: run the version that wrote it, or a newer/,
    ],
    [1000, /has the format 1000/],
    [0, /has the format 0, which this version does not read any more: export it/],
  ])('of ours, of format %i', async (format, said) => {
    const { directory } = copyOfStore();
    await within(directory, (environment) =>
      environment.write(() => environment.putMeta('format', { program: programName, format })),
    );
    expect(await refusal(directory)).toMatchObject({ code: 'INVALID', message: expect.stringMatching(said) });
    // Nor is it owned: whoever can read it may have it at once.
    expect(await within(directory, (environment) => environment.getMeta('owner'))).toBeUndefined();
  });

  test('of ours, without what page tokens hang on', async () => {
    const { directory } = copyOfStore();
    await within(directory, (environment) => environment.write(() => environment.removeMeta('identity')));
    expect(await refusal(directory)).toMatchObject({
      code: 'DAMAGED',
      message: expect.stringMatching(/has no identity: put a backup in its place/),
    });
  });
});
