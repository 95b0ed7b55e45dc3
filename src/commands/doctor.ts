/**
 * `doctor`: looks at everything that `serve` needs and says, a line a check, what is wrong and what to do about it.
 *
 * It changes nothing, and is safe to run beside a running server.
 */
import { accessSync, constants, existsSync, statSync, statfsSync } from 'node:fs';
import { createServer } from 'node:net';
import { freemem, totalmem } from 'node:os';
import { dirname } from 'node:path';
import { messageOf } from '../base/errors.js';
import { fail, type Finding, ok, warn } from '../base/finding.js';
import { parseObject } from '../base/json-object.js';
import { loopHeader, loopText } from '../base/loop-header.js';
import { ConfigError } from '../config/config-error.js';
import { type Address, type Config, type HomeserverConfig, loadConfig } from '../config/load.js';
import { type ConfiguredSource, configuredSource } from '../source/sources.js';
import { examineDirectory } from '../store/data-directory.js';
import { CommandError } from './command-error.js';
import { serverUrl } from './server-url.js';
import type { Terminal } from './terminal.js';

const answerTimeoutMs = 5000;
const serviceTokenLengthMin = 16;

/** Node itself, the worker threads and a small index; beneath it the system is likely to end the process. */
const memoryBytesMin = 512 * 2 ** 20;

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
  add([await nativeModule()]);
  add([await storeModule()]);
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

function nodeVersion(version: string): Finding {
  const [major, minor] = version.split('.').map(Number);
  if (major > 20 || (major === 20 && minor >= 19)) return ok('node', version);
  return fail('node', `${version} is too old; install Node 20.19 or later`);
}

async function nativeModule(): Promise<Finding> {
  try {
    // Loaded here, so that a module that does not load is a finding rather than the end of the command.
    const { bitmapBytes, bitmapOf } = await import('../sets/bitmap.js');
    bitmapBytes(bitmapOf(Uint32Array.of(1, 2, 3)));
    return ok('roaring', 'the native module loads and works');
  } catch (error) {
    const reason = messageOf(error).split('\n')[0];
    return fail(
      'roaring',
      `the native module does not load (${reason}); run "npm rebuild roaring", see native-notes.md`,
    );
  }
}

async function storeModule(): Promise<Finding> {
  try {
    await import('../store/lmdb.js');
    return ok('lmdb', 'the native module loads');
  } catch (error) {
    const reason = messageOf(error).split('\n')[0];
    return fail(
      'lmdb',
      `the native module does not load (${reason}); run "npm rebuild lmdb", see native-notes.md`,
    );
  }
}

async function dataDirectory({ dataDir }: Config): Promise<Finding[]> {
  if (dataDir === null) return [warn('data_dir', 'null: memory only, so a restart forgets; give a folder')];
  try {
    const { exists, path, holds } = examineDirectory(dataDir);
    const near = nearestFolder(dataDir);
    accessSync(near, constants.W_OK);
    const { bavail, bsize } = statfsSync(near);
    const free = `${mebibytes(bavail * bsize)} free`;
    if (holds === 'nothing') {
      return [
        ok('data_dir', `${dataDir} ${exists ? 'is empty' : 'will be made'}: a store is made there, ${free}`),
      ];
    }
    const { size } = statSync(path);
    const text = `${dataDir} holds a store of ${mebibytes(size)}, ${free}`;
    // A compaction writes the store once more.
    if (bavail * bsize < size)
      return [warn('data_dir', `${text}: too little to compact it; free some space`)];
    return [ok('data_dir', `${text} ("mutual-rooms verify" looks at all of it)`)];
  } catch (error) {
    return [fail('data_dir', messageOf(error))];
  }
}

/** The folder itself, or the one that it would be made in. */
function nearestFolder(folder: string): string {
  return existsSync(folder) ? folder : nearestFolder(dirname(folder));
}

function memory(limitBytes: number | undefined): Finding {
  // Without a limit the system reports none, or one beyond what there is.
  const limited = limitBytes !== undefined && limitBytes > 0 && limitBytes < totalmem();
  const totalBytes = limited ? limitBytes : totalmem();
  const free = limited ? '' : `, ${mebibytes(freemem())} free`;
  const text = `${mebibytes(totalBytes)}${limited ? ' for this container' : ''}${free}`;
  if (totalBytes >= memoryBytesMin) return ok('memory', text);
  return warn('memory', `${text}: that is little; give it ${mebibytes(memoryBytesMin)} or more`);
}

function mebibytes(bytes: number): string {
  return `${Math.round(bytes / 2 ** 20)} MiB`;
}

function readConfig(
  file: string | undefined,
  terminal: Terminal,
  add: (found: readonly Finding[]) => void,
): Config | undefined {
  try {
    const config = loadConfig({ file, env: terminal.env });
    add([ok('config', 'every key is known and valid')]);
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

async function port({ host, port: number }: Address, name = 'listen'): Promise<Finding> {
  const where = `${host}:${number}`;
  const fault = await tryToListen(host, number);
  if (fault === undefined) return ok(name, `${where} is free`);
  if (fault.code !== 'EADDRINUSE') {
    return fail(name, `${where} cannot be listened on (${fault.code ?? fault.message}); correct ${name}`);
  }
  const taken = `${where} is taken by something else; stop that, or choose another ${name}.port`;
  const url = serverUrl({ host, port: number });
  if (name !== 'listen') {
    const metrics = await ask(`${url}/metrics`);
    return metrics.status === 200 ? ok(name, `${where} serves /metrics already`) : fail(name, taken);
  }
  const health = await ask(`${url}/health`);
  if (health.status !== 200 || health.body.status !== 'alive') return fail(name, taken);
  const ready = await ask(`${url}/ready`);
  if (ready.status === 200)
    return ok(
      name,
      `a mutual-rooms server runs on ${where} and is ready; stop it before another one is started there`,
    );
  return warn(
    name,
    `a mutual-rooms server runs on ${where} but is not ready (${ready.text}); wait, or restart it and import again`,
  );
}

function tryToListen(host: string, number: number): Promise<NodeJS.ErrnoException | undefined> {
  return new Promise((resolve) => {
    const probe = createServer();
    probe.once('error', resolve);
    probe.listen({ host, port: number, exclusive: true }, () => {
      probe.close(() => {
        resolve(undefined);
      });
    });
  });
}

async function homeserver({ url }: HomeserverConfig): Promise<Finding[]> {
  const versions = await ask(`${url}/_matrix/client/versions`);
  if (versions.status !== 200 || !Array.isArray(versions.body.versions)) {
    const what =
      versions.status === 200
        ? 'answers /_matrix/client/versions with something else'
        : 'does not answer /_matrix/client/versions';
    const advice = versions.status === 508 ? loopText : 'correct homeserver.url, or start the homeserver';
    return [fail('homeserver', `${url} ${what} (${versions.text}); ${advice}`)];
  }
  const found = ok('homeserver', `${url} answers /_matrix/client/versions`);
  const whoami = await ask(`${url}/_matrix/client/v3/account/whoami`, 'mutual-rooms-doctor');
  if (whoami.status === 401 && whoami.body.errcode === 'M_UNKNOWN_TOKEN') {
    return [found, ok('whoami', 'a wrong token is refused with M_UNKNOWN_TOKEN, as it should be')];
  }
  const advice = 'homeserver.url must reach the Client-Server API of a homeserver, not only its /versions';
  return [
    found,
    fail('whoami', `a wrong token is not refused with M_UNKNOWN_TOKEN (${whoami.text}); ${advice}`),
  ];
}

interface Reply {
  /** 0 when there was none. */
  readonly status: number;
  readonly body: Readonly<Record<string, unknown>>;
  /** Status or fault, for people. */
  readonly text: string;
}

async function ask(url: string, accessToken?: string): Promise<Reply> {
  try {
    const response = await fetch(url, {
      headers: {
        [loopHeader]: '1',
        ...(accessToken === undefined ? {} : { authorization: `Bearer ${accessToken}` }),
      },
      signal: AbortSignal.timeout(answerTimeoutMs),
    });
    const text = await response.text();
    return { status: response.status, body: parseObject(text) ?? {}, text: `status ${response.status}` };
  } catch (error) {
    // fetch hides the reason in `cause`.
    const reason = error instanceof Error && error.cause instanceof Error ? error.cause : error;
    const { code } = reason as NodeJS.ErrnoException;
    return { status: 0, body: {}, text: typeof code === 'string' ? code : messageOf(reason) };
  }
}
