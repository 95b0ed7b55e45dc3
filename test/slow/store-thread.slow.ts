/**
 * Does a process end, and is what was acknowledged there, wherever the store's thread is when the process exits or the thread
 * dies? In processes of their own: the addon of lmdb may abort the one whose thread is ended in its midst.
 */
import { fork, spawn } from 'node:child_process';
import { once } from 'node:events';
import { writeFile } from 'node:fs/promises';
import { join } from 'node:path';
import { setTimeout as sleep } from 'node:timers/promises';
import { expect, onTestFinished, test } from 'vitest';
import { built } from '../store/other-process.js';
import { exportedRooms, openFolder, openServe, postMemberships, verified } from './serve-process.js';

/** So many that most of the time is spent in a transaction, and outside of the disk's part of it. */
const usersOfEach = 20_000;

/** After the first commit. */
const momentsMs = [10, 70, 130, 190, 250, 310];

interface Ended {
  readonly dataDir: string;
  /** How many commits were acknowledged. */
  readonly acknowledged: number;
  readonly code: number | null;
  readonly signal: string | null;
  readonly stderr: string;
}

/** A process that commits without pause. At a moment it does `what`, goes on for a while if it can, and ends. */
async function committing(what: string, momentMs: number): Promise<Ended> {
  const folder = await openFolder();
  const dataDir = join(folder, 'data');
  const program = join(folder, 'program.mjs');
  await writeFile(
    program,
    `import { subscribe } from 'node:diagnostics_channel';
    import { writeSync } from 'node:fs';
    import { LmdbStore } from ${built('store/lmdb-store')};
    import { Directory } from ${built('directory/directory')};
    const workers = [];
    subscribe('worker_threads', ({ worker }) => workers.push(worker));
    const store = await LmdbStore.open({
      directory: ${JSON.stringify(dataDir)},
      limits: { recentChangesMax: 64 },
      silenceMaxMs: 8000,
    });
    const directory = new Directory();
    const { users, rooms } = directory;
    await store.restoreNames(directory, () => undefined);
    let isDone = false;
    let message = 'went on';
    for (let commit = 0, after = 0; after < 3; commit += 1) {
      if (isDone) after += 1;
      const changes = [];
      for (let user = 0; user < ${usersOfEach}; user += 1)
        changes.push(users.intern('@w' + commit + '.' + user + ':x'), rooms.intern('!load:x') * 2 + 1);
      try {
        await store.commit({
          changes: Uint32Array.from(changes),
          isSorted: false,
          names: directory.counts(),
          cursors: [],
        });
        writeSync(1, '.');
        if (commit === 0)
          setTimeout(() => {
            isDone = true;
            ${what};
          }, ${momentMs});
      } catch (error) {
        message = error.message;
        break;
      }
    }
    writeSync(2, message + '\\n');
    await store.close();
    process.exit(0);`,
  );
  const child = spawn(process.execPath, [program], { stdio: ['ignore', 'pipe', 'pipe'] });
  onTestFinished(() => void child.kill('SIGKILL'));
  let stdout = '';
  let stderr = '';
  child.stdout.on('data', (text) => (stdout += String(text)));
  child.stderr.on('data', (text) => (stderr += String(text)));
  const [code, signal] = (await once(child, 'close')) as [number | null, string | null];
  return { dataDir, acknowledged: stdout.length, code, signal, stderr };
}

async function expectAcknowledged({ dataDir, acknowledged }: Ended): Promise<void> {
  await verified(dataDir);
  const rooms = await exportedRooms(dataDir);
  expect(acknowledged).toBeGreaterThan(0);
  for (let commit = 0; commit < acknowledged; commit += 1)
    expect(
      [...rooms.keys()].filter((user) => user.startsWith(`@w${commit}.`)),
      `commit ${commit}`,
    ).toHaveLength(usersOfEach);
}

test('the process exits in the midst of commits: it ends, as it was told to', async () => {
  for (const momentMs of momentsMs) {
    const ended = await committing('process.exit(7)', momentMs);
    expect(ended).toMatchObject({ code: 7, signal: null, stderr: '' });
    await expectAcknowledged(ended);
  }
});

test('the thread dies in the midst of commits: they are refused or go on, and the process ends', async () => {
  for (const momentMs of momentsMs.slice(0, 4)) {
    const ended = await committing('void workers.at(-1).terminate()', momentMs);
    console.log(outcomeOf(ended));
    await expectAcknowledged(ended);
  }
});

test.each([
  ['while it commits', true],
  ['while nothing happens', false],
])(
  'the disk stands still, %s: a server that is told to stop ends all the same',
  async (_when, isCommitting) => {
    const folder = await openFolder();
    const dataDir = join(folder, 'data');
    const server = await openServe(
      `listen: { port: 0 }\ndata_dir: ${dataDir}\nservice_token: secret\nauth: { static_tokens: { a: "@a:x" } }\n`,
    );
    const post = async (room: string): Promise<number> =>
      (await postMemberships(server, [{ user_id: '@a:x', room_id: room, membership: 'join' }])).status;
    expect(await post('!before:x')).toBe(200);
    // Whoever else writes waits for ever.
    const program = join(folder, 'program.mjs');
    await writeFile(
      program,
      `import { Environment } from ${built('store/lmdb')};
    const environment = new Environment({ path: ${JSON.stringify(join(dataDir, 'index.mdb'))} });
    environment.write(() => {
      process.send('holds');
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0);
    });`,
    );
    const holder = fork(program, { execArgv: [] });
    onTestFinished(() => void holder.kill('SIGKILL'));
    await once(holder, 'message');
    const stalled = isCommitting ? post('!stalled:x').catch(() => 0) : 0;
    await sleep(500);
    const ended = once(server.child, 'exit');
    server.child.kill('SIGTERM');
    expect(await ended).toEqual([null, 'SIGKILL']);
    expect(server.output()).toMatch(/not ended 15 s after the signal.*\n.*this process kills itself/);
    expect(await stalled).not.toBe(200);
    holder.kill('SIGKILL');
    await once(holder, 'exit');
    await verified(dataDir);
    expect(await exportedRooms(dataDir)).toEqual(new Map([['@a:x', 1]]));
  },
);

/** What may become of it; anything else is a fault. */
function outcomeOf({ code, signal, stderr }: Ended): string {
  const isRefused =
    /the thread of the store (died|has not answered) .* start the server anew; what was acknowledged/.test(
      stderr,
    );
  if (code === 0 && stderr === 'went on\n') return 'it had nothing to do: another one took its place';
  if (code === 0 && isRefused) return 'outside of a transaction: commits were refused';
  if (signal === 'SIGKILL' && isRefused && stderr.includes('this process kills itself'))
    return 'in a transaction: commits were refused, and the process killed itself when it was to end';
  if (signal === 'SIGABRT' && stderr.includes('napi')) return 'in the addon: the process was aborted';
  throw new Error(`exit code ${code}, signal ${signal}: ${stderr}`);
}
