/** What `doctor` says of the network: the address to listen on, and the homeserver. It asks, and changes nothing. */
import { createServer } from 'node:net';
import { messageOf } from '../base/errors.js';
import { fail, type Finding, ok, warn } from '../base/finding.js';
import { parseObject } from '../base/json-object.js';
import { loopHeader, loopText } from '../base/loop-header.js';
import type { Address, HomeserverConfig } from '../config/load.js';
import { serverUrl } from './server-url.js';

const answerTimeoutMs = 5000;

export async function port({ host, port: number }: Address, name = 'listen'): Promise<Finding> {
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
  if (ready.status === 200) return ok(name, `a mutual-rooms server runs on ${where}, and is ready`);
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

export async function homeserver({ url }: HomeserverConfig): Promise<Finding[]> {
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
