/** Does a command that waits for a peer outlive the peer's hanging up? Nothing else keeps node running by then. */
import { execFile } from 'node:child_process';
import { mkdtemp, rm, writeFile } from 'node:fs/promises';
import { createServer, type AddressInfo } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { expect, onTestFinished, test } from 'vitest';

const cli = new URL('../../dist/cli.js', import.meta.url).pathname;

async function run(args: readonly string[]): Promise<{ code: unknown; text: string }> {
  return new Promise((resolve) => {
    execFile(process.execPath, [cli, ...args], (error, stdout, stderr) =>
      resolve({ code: error?.code ?? 0, text: stdout + stderr }),
    );
  });
}

test('doctor says that the homeserver gave no answer, and fails', async () => {
  const server = createServer((socket) => socket.on('error', () => undefined).destroy());
  await new Promise<void>((resolve) => server.listen(0, '127.0.0.1', resolve));
  onTestFinished(() => void server.close());
  const folder = await mkdtemp(join(tmpdir(), 'mutual-rooms-'));
  onTestFinished(async () => rm(folder, { recursive: true }));
  const url = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const config = join(folder, 'config.yaml');
  await writeFile(config, `listen: { port: 0 }\nhomeserver: { url: "${url}" }\n`);
  const { code, text } = await run(['doctor', '--config', config]);
  expect(text).toMatch(/^FAIL +homeserver/m);
  expect(code).toBe(1);
});
