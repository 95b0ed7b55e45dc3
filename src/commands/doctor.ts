/**
 * `doctor`: looks at everything that `serve` needs and says, a line a check, what is wrong and what to do about it.
 *
 * It changes nothing, and is safe to run beside a running server.
 */
import { fail, type Finding, ok, warn } from '../base/finding.js';
import { ConfigError } from '../config/config-error.js';
import { type Config, loadConfig } from '../config/load.js';
import { type ConfiguredSource, configuredSource } from '../source/sources.js';
import { CommandError } from './command-error.js';
import { dataDirectory, memory, nativeModule, nodeVersion } from './doctor-machine.js';
import { homeserver, port } from './doctor-network.js';
import type { Terminal } from './terminal.js';

const serviceTokenLengthMin = 16;

export interface DoctorOptions {
  readonly config?: string | undefined;
}

/** @throws CommandError when a check failed */
export async function doctor({ config: file }: DoctorOptions, terminal: Terminal): Promise<void> {
  const findings: Finding[] = [];
  const add = (found: readonly Finding[]): void => {
    for (const { level, check, text } of found) terminal.out(`${level.padEnd(5)} ${check}: ${text}\n`);
    findings.push(...found);
  };
  add([nodeVersion(process.versions.node)]);
  add([nativeModule('roaring'), nativeModule('lmdb')]);
  add([memory(process.constrainedMemory())]);
  const config = readConfig(file, terminal, add);
  if (config !== undefined) {
    const source = configuredSource(config.source);
    add([tokenOf(config, source)]);
    add(staticTokens(config));
    add(await dataDirectory(config));
    add([await port(config.listen)]);
    if (config.metrics.listen !== null) add([await port(config.metrics.listen, 'metrics.listen')]);
    if (config.homeserver !== undefined) add(await homeserver(config.homeserver));
    if (source !== undefined) add(await source.examine());
  }
  const failures = findings.filter(({ level }) => level === 'FAIL').length;
  if (failures > 0) throw new CommandError(`${failures} of ${findings.length} checks failed`);
}

function readConfig(
  file: string | undefined,
  terminal: Terminal,
  add: (found: readonly Finding[]) => void,
): Config | undefined {
  try {
    const config = loadConfig({ file, env: terminal.env });
    add([ok('config', 'every key is known and valid')]);
    add((config.warnings ?? []).map((text) => warn('config', text)));
    return config;
  } catch (error) {
    if (!(error instanceof ConfigError)) throw error;
    add(error.faults.map((fault) => fail('config', fault)));
    return undefined;
  }
}

function tokenOf({ serviceToken }: Config, source: ConfiguredSource | undefined): Finding {
  const advice = 'make one with "openssl rand -hex 32"';
  if (source !== undefined && serviceToken === undefined)
    return ok('service_token', `none, and none is needed: memberships come from ${source.title}`);
  if (serviceToken === undefined) {
    return warn('service_token', `none, so memberships cannot come in over HTTP; ${advice}`);
  }
  if (serviceToken === 'change me') {
    return warn('service_token', `it is the one of the example, so anybody may write memberships; ${advice}`);
  }
  if (serviceToken.length < serviceTokenLengthMin) {
    return warn(
      'service_token',
      `it has under ${serviceTokenLengthMin} characters and could be guessed; ${advice}`,
    );
  }
  return ok('service_token', 'given');
}

function staticTokens({ auth, homeserver: real }: Config): Finding[] {
  const count = auth.staticTokens.size;
  if (count === 0) return [];
  const advice = real === undefined ? 'give homeserver.url instead' : 'remove auth.static_tokens';
  return [
    warn(
      'static_tokens',
      `${count} given; they never expire and are for demos and tests, so in production ${advice}`,
    ),
  ];
}
