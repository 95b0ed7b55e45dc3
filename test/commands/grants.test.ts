import { mkdtempSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { describe, expect, it } from 'vitest';
import { run } from '../../src/commands/program.js';
import { fakeTerminal } from './fake-terminal.js';

async function grants(args: string[], env: Record<string, string> = {}) {
  const terminal = fakeTerminal(env);
  const code = await run(['grants', ...args], terminal);
  const [, usage, role] = /GRANT USAGE ON SCHEMA "(.*)" TO "(.*)"/.exec(terminal.written.out) ?? [];
  const [, database] = /GRANT CONNECT ON DATABASE "(.*)" TO/.exec(terminal.written.out) ?? [];
  return { code, ...terminal.written, names: [role, database, usage] };
}

function configured(postgres: string): Record<string, string> {
  return {
    MUTUAL_ROOMS_SOURCE_SYNAPSE_POSTGRES: postgres,
    MUTUAL_ROOMS_SOURCE_SYNAPSE_SERVER_NAME: 'example.org',
  };
}

describe('names of grants', () => {
  it.each<[args: string[], postgres: string | undefined, names: string[]]>([
    [[], undefined, ['mutual_rooms', 'synapse', 'public']],
    [['--role', 'r', '--database', 'd', '--schema', 's'], undefined, ['r', 'd', 's']],
    [[], 'postgres://reader:hush@db.example.org:5433/matrix', ['reader', 'matrix', 'public']],
    [[], 'postgres://a%40b@127.0.0.1/my%20synapse', ['a@b', 'my synapse', 'public']],
    [[], 'postgres:///synapse2?host=/run/postgresql&user=local', ['local', 'synapse2', 'public']],
    [[], 'postgres://127.0.0.1', ['mutual_rooms', 'synapse', 'public']],
    [['--role', 'other'], 'postgres://reader@127.0.0.1/matrix', ['other', 'matrix', 'public']],
  ])('%j, %j', async (args, postgres, names) => {
    const result = await grants(args, postgres === undefined ? {} : configured(postgres));
    expect(result).toMatchObject({ code: 0, err: '', names });
    expect(result.out).not.toContain('hush');
  });
});

it('takes the names of a map in a file, too', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-grants-'));
  const file = join(folder, 'config.yaml');
  const synapse = (postgres: string): string =>
    `source: { synapse: { server_name: example.org, postgres: ${postgres} } }`;
  writeFileSync(file, synapse('{ host: db, user: reader, database: matrix, password: hush }'));
  const result = await grants(['--config', file]);
  expect(result).toMatchObject({ code: 0, err: '', names: ['reader', 'matrix', 'public'] });
  expect(result.out).not.toContain('hush');
  writeFileSync(file, synapse('{ host: db }'));
  expect((await grants(['--config', file])).names).toEqual(['mutual_rooms', 'synapse', 'public']);
  rmSync(folder, { recursive: true });
});

it('reads no configuration when both names are given', async () => {
  const args = ['--config', '/nowhere.yaml', '--role', 'r', '--database', 'd'];
  expect(await grants(args)).toMatchObject({ code: 0, names: ['r', 'd', 'public'] });
  expect(await grants(args.slice(0, -2))).toMatchObject({ code: 2, out: '' });
});

it('takes no name that would end a comment', async () => {
  const { code, out, err } = await grants(['--schema', 'a\nb']);
  expect(err).toBe(
    'mutual-rooms: "a\\nb" cannot be the schema: a name has 1 to 63 bytes and no control characters\n',
  );
  expect([code, out]).toEqual([2, '']);
});
