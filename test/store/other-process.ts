/** A process beside this one that has a store. */
import { fork, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';
import { newFolder } from './kept-store.js';

/** How a program imports a built module, by its path below src. */
export const built = (path: string): string =>
  JSON.stringify(new URL(`../../dist/${path}.js`, import.meta.url).href);

/** A process that has the store and commits when it is told to; Node 20 runs no TypeScript there, so it runs what is built. */
export class OtherProcess {
  readonly child: ChildProcess;

  static async open(directory: string): Promise<OtherProcess> {
    const program = join(newFolder(), 'program.mjs');
    writeFileSync(
      program,
      `import { LmdbStore } from ${built('store/lmdb-store')};
      import { Directory } from ${built('directory/directory')};
      const store = await LmdbStore.open({ directory: ${JSON.stringify(directory)} });
      const directory = new Directory();
      const { users, rooms } = directory;
      await store.restoreNames(directory, () => undefined);
      process.on('message', async ({ userId, roomId }) => {
        const changes = Uint32Array.of(users.intern(userId), rooms.intern(roomId) * 2 + 1);
        try {
          await store.commit({ changes, isSorted: false, names: directory.counts(), cursors: [] });
          process.send('committed');
        } catch (error) {
          process.send(error.code + ' ' + error.message);
        }
      });
      process.on('disconnect', async () => {
        await store.close();
        process.exit(0);
      });
      process.send('open');`,
    );
    const other = new OtherProcess(fork(program, { stdio: 'ignore', execArgv: [] }));
    onTestFinished(() => void other.child.kill('SIGKILL'));
    expect((await once(other.child, 'message'))[0]).toBe('open');
    return other;
  }

  private constructor(child: ChildProcess) {
    this.child = child;
  }

  /** @returns what became of it */
  async commit(userId: string, roomId: string): Promise<unknown> {
    this.child.send({ userId, roomId });
    const [said] = (await once(this.child, 'message')) as [unknown];
    return said;
  }

  /** Closes the store. @returns its exit code */
  async close(): Promise<number | null> {
    const ended = once(this.child, 'exit');
    this.child.disconnect();
    const [code] = (await ended) as [number | null];
    return code;
  }

  async end(signal: NodeJS.Signals): Promise<void> {
    const ended = once(this.child, 'exit');
    this.child.kill(signal);
    await ended;
  }
}
