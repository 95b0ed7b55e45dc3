/**
 * Is the feed woken by what Synapse's workers tell each other, and by nothing else? On a real Redis, with an account that may do no more than
 * the README says, over its restarts. What passes there may be a secret: none of it comes out.
 */
import { createClient } from '@redis/client';
import { afterAll, beforeAll, describe, expect, onTestFinished, test, vi } from 'vitest';
import { RedisWake, redisFault } from '../../src/source/synapse/redis-wake.js';
import { freePort } from '../servers/free-port.js';
import { NetworkLink } from '../servers/network-link.js';
import { findProgram, missingOf, NotInstalled } from '../servers/find-program.js';
import { RedisServer } from '../servers/redis-server.js';

const missing = missingOf(() => {
  if (findProgram('redis-server') === undefined)
    throw new NotInstalled('no redis-server: apt-get install redis-server');
});
const soon = { timeout: 10_000, interval: 10 };
const channel = 'example.org';
const token = 'syt_secret';

/** As Synapse writes them. */
const lines = {
  state: 'RDATA events persist1 71 ["state",["!r:x","m.room.member","@a:x","$e"]]',
  stateAll: 'RDATA events persist1 72 ["state-all",["!r:x"]]',
  message: 'RDATA events persist1 73 ["ev",["$e","!r:x","m.room.message",null,null,null,null,null,null]]',
  currentState: 'RDATA caches master 5 ["cs_cache_fake",["!r:x","@a:x"],1700000000000]',
  purge: 'RDATA caches master 6 ["dr_cache_fake",["!r:x"],1700000000000]',
  secret: `RDATA caches master 7 ["get_user_by_access_token",["${token}"],1700000000000]`,
  position: 'POSITION events persist2 70 73',
} as const;

describe.skipIf(missing !== undefined)(`a real Redis${missing === undefined ? '' : ` (${missing})`}`, () => {
  let redis: RedisServer;

  beforeAll(async () => {
    redis = await RedisServer.open();
  });

  afterAll(async () => {
    await (redis as RedisServer | undefined)?.close();
  });

  /** @returns the last answer */
  const asAdmin = async (...commands: readonly (readonly string[])[]): Promise<unknown> => {
    const { host, port, password } = redis;
    const client = createClient({ socket: { host, port, tls: false, reconnectStrategy: false }, password });
    await client.connect();
    let answer: unknown;
    for (const command of commands) answer = await client.sendCommand(command);
    client.destroy();
    return answer;
  };
  const makeAccount = (name: string, ofChannel: string): Promise<unknown> =>
    asAdmin(
      ['ACL', 'SETUSER', name, 'reset', 'on', '>pw', 'resetchannels', `&${ofChannel}`, '-@all'].concat([
        '+subscribe',
        '+unsubscribe',
        '+ping',
        '+auth',
        '+hello',
      ]),
    );
  const listen = (user: string, port = redis.port): { wake: RedisWake; heard: string[] } => {
    const heard: string[] = [];
    const wake = new RedisWake({ host: redis.host, port, user, password: 'pw' }, channel, {
      onChange: (...words: unknown[]) => void heard.push(['change', ...words].join(' ')),
      onPurge: (...words: unknown[]) => void heard.push(['purge', ...words].join(' ')),
      onFault: (message) => void heard.push(`fault ${message}`),
    });
    onTestFinished(() => wake.close());
    return { wake, heard };
  };
  const publish = (...published: readonly string[]): Promise<unknown> =>
    asAdmin(...published.map((line) => ['PUBLISH', channel, line]));

  test('changes of state and purges wake it; nothing that was said comes out', async () => {
    await makeAccount('reader', channel);
    const { wake, heard } = listen('reader');
    await vi.waitFor(() => expect(wake.isUp).toBe(true), soon);
    await publish(lines.message, lines.secret, lines.position, lines.state, lines.secret, lines.stateAll);
    await publish(lines.currentState, lines.purge, lines.secret);
    await vi.waitFor(() => expect(heard).toEqual(['change', 'change', 'change', 'purge']), soon);
    expect(
      await redisFault({ host: redis.host, port: redis.port, user: 'reader', password: 'pw' }, channel),
    ).toBe(undefined);
  });

  test('it comes back after Redis was away, and says so once', async () => {
    await makeAccount('reader', channel);
    const { wake, heard } = listen('reader');
    await vi.waitFor(() => expect(wake.isUp).toBe(true), soon);
    await redis.stop();
    await vi.waitFor(() => expect(wake.isUp).toBe(false), soon);
    await vi.waitFor(
      () => expect(heard).toContainEqual(expect.stringMatching(/^fault .*ECONNREFUSED/)),
      soon,
    );
    await redis.start();
    await makeAccount('reader', channel);
    await vi.waitFor(() => expect(wake.isUp).toBe(true), soon);
    await publish(lines.state);
    await vi.waitFor(() => expect(heard.at(-1)).toBe('change'), soon);
    expect(heard.filter((each) => each.includes('ECONNREFUSED'))).toHaveLength(1);
  });

  test('an account that may not listen is a fault, once; a wrong password too', async () => {
    await makeAccount('other', 'another.org');
    const { wake, heard } = listen('other');
    await vi.waitFor(() => expect(heard).toEqual([expect.stringMatching(/^fault NOPERM/)]), soon);
    expect(wake.isUp).toBe(false);
    const { host, port } = redis;
    expect(await redisFault({ host, port, user: 'other', password: 'pw' }, channel)).toMatch(/NOPERM/);
    expect(await redisFault({ host, port, user: 'other', password: 'no' }, channel)).toMatch(/WRONGPASS/);
    expect(await redisFault({ host, port: 1 }, channel)).toMatch(/ECONNREFUSED/);
    await makeAccount('other', channel);
    await vi.waitFor(() => expect(wake.isUp).toBe(true), soon);
    expect(heard).toHaveLength(1);
  });

  test('connections that close before they answer are told of, and leave nothing behind', async () => {
    await makeAccount('reader', channel);
    const link = await NetworkLink.open(await freePort(), redis.port);
    onTestFinished(() => link.close());
    link.cut();
    const { wake, heard } = listen('reader', link.port);
    await vi.waitFor(() => expect(link.turnedAway).toBeGreaterThan(5), soon);
    expect(heard[0]).toMatch(/^fault .*(closed before|EPIPE|ECONNRESET)/);
    expect(heard.length).toBeLessThan(4);
    await asAdmin(['CONFIG', 'RESETSTAT']);
    link.mend();
    await vi.waitFor(() => expect(wake.isUp).toBe(true), soon);
    expect(await asAdmin(['INFO', 'commandstats'])).toMatch(/cmdstat_subscribe:calls=1,/);
  });

  test('closed, it says nothing any more', async () => {
    await makeAccount('reader', channel);
    const { wake, heard } = listen('reader');
    wake.close();
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(heard).toEqual([]);
  });
});
