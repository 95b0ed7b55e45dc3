import { readFileSync } from 'node:fs';
import { describe, expect, it } from 'vitest';
import { makeProgram, run } from '../../src/commands/program.js';
import { fakeTerminal } from './fake-terminal.js';

async function runIt(args: string[], env: Record<string, string> = {}) {
  const terminal = fakeTerminal(env);
  const code = await run(args, terminal);
  return { code, ...terminal.written };
}

describe('command line', () => {
  it.each(['', ...makeProgram(fakeTerminal()).commands.map((command) => command.name())])(
    'help of "%s"',
    async (name) => {
      const { code, out, err } = await runIt([...(name === '' ? [] : [name]), '--help']);
      expect(code).toBe(0);
      expect(err).toBe('');
      expect(out).toMatchSnapshot();
    },
  );

  it('version', async () => {
    expect(await runIt(['--version'])).toEqual({
      code: 0,
      out: expect.stringMatching(/^\d+\.\d+\.\d+\n$/),
      err: '',
    });
  });

  const misuses: [args: string[], text: RegExp][] = [
    [[], /^Usage: mutual-rooms/],
    [['sevre'], /unknown command 'sevre'\n\(Did you mean serve\?\)/],
    [['serve', '--confg', 'x'], /unknown option '--confg'\n\(Did you mean --config\?\)/],
    [['import'], /missing required argument 'file'/],
    [['demo', '--port', '99999'], /It must be a whole number from 0 to 65535/],
    [['serve', '--config', '/nowhere.yaml'], /^mutual-rooms: \/nowhere\.yaml: there is no such file/],
    [
      ['serve'],
      /^mutual-rooms: no configuration is given: name a file with --config or MUTUAL_ROOMS_CONFIG, or set/,
    ],
    [['start', '--config', '/nowhere.yaml'], /there is no such file/],
  ];
  it.each(misuses)('%j is exit code 2', async (args, text) => {
    const { code, err } = await runIt(args);
    expect(err).toMatch(text);
    expect(code).toBe(2);
  });

  it('start serves what the environment alone configures', async () => {
    const { code, err } = await runIt(['start'], { MUTUAL_ROOMS_LISTEN_PORT: '0' });
    expect(err).toMatch(/^mutual-rooms: environment: nobody could ask: give homeserver\.url/);
    expect(code).toBe(2);
  });

  it('options are the page of the configuration', async () => {
    const { code, out } = await runIt(['options']);
    expect(out).toBe(readFileSync(new URL('../../src/config/README.md', import.meta.url), 'utf8'));
    expect(code).toBe(0);
  });

  it('shows a stack with --debug, or at log level debug, and else none', async () => {
    const args = ['serve', '--config', '/nowhere.yaml'];
    expect((await runIt(args)).err).not.toMatch(/\n +at /);
    expect((await runIt([...args, '--debug'])).err).toMatch(/\n +at /);
    expect((await runIt(args, { MUTUAL_ROOMS_LOG_LEVEL: 'debug' })).err).toMatch(/\n +at /);
  });
});
