/** Does it hold in the process that operators run? `serve` and its siblings as they are started, and what they take of memory. */
import { spawn, type ChildProcess } from 'node:child_process';
import { once } from 'node:events';
import { readFileSync } from 'node:fs';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished } from 'vitest';

const cli = new URL('../../dist/cli.js', import.meta.url).pathname;

interface Command {
  readonly child: ChildProcess;
  /** What it has written so far. */
  readonly output: () => string;
}

export function runCommand(...args: string[]): Command {
  const child = spawn(process.execPath, [cli, ...args], { stdio: ['ignore', 'pipe', 'pipe'] });
  // Apart, and one behind the other: what comes on stderr must not fall into a line of stdout that has come in part.
  let out = '';
  let err = '';
  child.stdout.on('data', (chunk) => (out += String(chunk)));
  child.stderr.on('data', (chunk) => (err += String(chunk)));
  return { child, output: () => out + err };
}

/** A folder for one test. */
export async function openFolder(): Promise<string> {
  const folder = await mkdtemp(join(tmpdir(), 'mutual-rooms-'));
  onTestFinished(async () => rm(folder, { recursive: true }));
  return folder;
}

export interface ServeProcess extends Command {
  readonly url: string;
}

/** Starts `serve` with this configuration; it ends with the test. */
export async function openServe(configYaml: string): Promise<ServeProcess> {
  const config = join(await openFolder(), 'config.yaml');
  await writeFile(config, configYaml);
  return serveWith(config);
}

export async function serveWith(configFile: string): Promise<ServeProcess> {
  const command = runCommand('serve', '--config', configFile);
  onTestFinished(() => void command.child.kill('SIGKILL'));
  const url = await until(() => {
    if (command.child.exitCode !== null) throw new Error(`serve ended: ${command.output()}`);
    return /listens on (http:[^ ]+)/.exec(command.output())?.[1];
  });
  return { ...command, url };
}

/** Peak memory of a process in MiB; NaN when it has ended and nobody has waited for it yet. */
export function peakMiB(child: ChildProcess): number {
  const status = readFileSync(`/proc/${child.pid}/status`, 'utf8');
  return Number(/VmHWM:\s+(\d+) kB/.exec(status)?.[1]) / 1024;
}

/** Waits until `what` gives something: the test's own timeout ends it. */
export async function until<Value>(
  what: () => Value | undefined | null | Promise<Value | undefined | null>,
): Promise<Value> {
  for (;;) {
    const value = await what();
    if (value !== undefined && value !== null) return value;
    await new Promise((resolve) => setTimeout(resolve, 20));
  }
}

/** States memberships over HTTP; the server's service token is `secret`. */
export async function postMemberships(
  { url }: { readonly url: string },
  records: readonly { user_id: string; room_id: string; membership: string }[],
): Promise<Response> {
  return fetch(`${url}/_mutual_rooms/v1/memberships`, {
    method: 'POST',
    headers: { authorization: 'Bearer secret', 'content-type': 'application/x-ndjson' },
    body: records.map((record) => `${JSON.stringify(record)}\n`).join(''),
  });
}

/** The store has no fault. @returns what `verify` says */
export async function verified(dataDir: string): Promise<string> {
  const { child, output } = runCommand('verify', '--data-dir', dataDir);
  await once(child, 'close');
  expect(output()).toContain('has no fault');
  return output();
}

/** How many rooms everybody is in, as `export` tells. */
export async function exportedRooms(dataDir: string): Promise<Map<string, number>> {
  const { child, output } = runCommand('export', '--data-dir', dataDir);
  await once(child, 'close');
  const rooms = new Map<string, number>();
  // Among them is what it says of itself.
  for (const line of output().split('\n')) {
    if (!line.startsWith('{')) continue;
    const { user_id: user } = JSON.parse(line) as { user_id: string };
    rooms.set(user, (rooms.get(user) ?? 0) + 1);
  }
  return rooms;
}
