import { describe, expect, it } from 'vitest';
import { Homeserver } from '../../src/auth/homeserver.js';
import { openAuthenticator } from '../../src/auth/open-authenticator.js';
import { authenticatorContract } from '../contract/authenticator-contract.js';
import { answerJson, startHomeserver, whoamiOf } from './fake-homeserver.js';

const cache = { ttlMs: 60_000, entriesMax: 100, negativeTtlMs: 10_000 };
const nobody = new Map<string, string>();
const alice = { user_id: '@alice:example.org', device_id: 'ALICE' };
const bob = { user_id: '@bob:example.org', is_guest: false };

authenticatorContract('the homeserver, remembered', async () => {
  const fake = await startHomeserver(whoamiOf({ 'alice-token': alice, 'bob-token': bob }));
  const homeserver = new Homeserver(fake.url);
  return {
    authenticator: openAuthenticator({ staticTokens: nobody, homeserver, cache }),
    close: () => fake.close(),
  };
});

authenticatorContract('static tokens and the homeserver', async () => {
  const fake = await startHomeserver(whoamiOf({ 'bob-token': bob }));
  const homeserver = new Homeserver(fake.url);
  const staticTokens = new Map([['alice-token', '@alice:example.org']]);
  return {
    authenticator: openAuthenticator({ staticTokens, homeserver, cache }),
    close: () => fake.close(),
  };
});

describe('static tokens and the homeserver', () => {
  it('asks the homeserver only for tokens that are not in the table', async () => {
    const fake = await startHomeserver(
      whoamiOf({ 'alice-token': { user_id: '@mallory:example.org' }, 'bob-token': bob }),
    );
    const staticTokens = new Map([['alice-token', '@alice:example.org']]);
    const authenticator = openAuthenticator({ staticTokens, homeserver: new Homeserver(fake.url), cache });
    expect(await authenticator.whoAsks({ accessToken: 'alice-token' })).toMatchObject({
      userId: '@alice:example.org',
    });
    expect(await authenticator.whoAsks({ accessToken: 'bob-token' })).toMatchObject({
      userId: '@bob:example.org',
    });
    expect(fake.asked.map(({ headers }) => headers.authorization)).toEqual(['Bearer bob-token']);
    await authenticator.close();
    await fake.close();
  });

  it('refuses everyone when there is neither', async () => {
    const authenticator = openAuthenticator({ staticTokens: nobody });
    await expect(authenticator.whoAsks({ accessToken: 'x' })).rejects.toMatchObject({ status: 401 });
  });
});

describe('the homeserver, remembered', () => {
  it('is asked once by a hundred requests at once', async () => {
    const fake = await startHomeserver((_request, response) => {
      setTimeout(() => answerJson(response, 200, alice), 20);
    });
    const authenticator = openAuthenticator({
      staticTokens: nobody,
      homeserver: new Homeserver(fake.url),
      cache,
    });
    const ask = () => authenticator.whoAsks({ accessToken: 'alice-token' });
    const askers = await Promise.all(Array.from({ length: 100 }, ask));
    expect(new Set(askers.map(({ userId }) => userId))).toEqual(new Set(['@alice:example.org']));
    expect(await ask()).toEqual({ userId: '@alice:example.org', isGuest: false });
    expect(fake.asked).toHaveLength(1);
    await authenticator.close();
    await fake.close();
  });

  it('takes many different tokens at once over a bounded number of connections', async () => {
    const sockets = new Set<unknown>();
    const fake = await startHomeserver((request, response) => {
      sockets.add(request.socket);
      const name = request.headers.authorization!.slice('Bearer '.length);
      setTimeout(() => answerJson(response, 200, { user_id: `@${name}:example.org` }), 5);
    });
    const authenticator = openAuthenticator({
      staticTokens: nobody,
      homeserver: new Homeserver(fake.url),
      cache: { ...cache, entriesMax: 1000 },
    });
    const names = Array.from({ length: 500 }, (_, i) => `user${i}`);
    const askers = await Promise.all(names.map((accessToken) => authenticator.whoAsks({ accessToken })));
    expect(askers.map(({ userId }) => userId)).toEqual(names.map((name) => `@${name}:example.org`));
    expect(sockets.size).toBeLessThanOrEqual(64);
    await authenticator.close();
    await fake.close();
  });

  it('keeps answering for known tokens while the homeserver is away', async () => {
    const fake = await startHomeserver(whoamiOf({ 'alice-token': alice }));
    const authenticator = openAuthenticator({
      staticTokens: nobody,
      homeserver: new Homeserver(fake.url),
      cache,
    });
    await authenticator.whoAsks({ accessToken: 'alice-token' });
    await fake.close();
    expect(await authenticator.whoAsks({ accessToken: 'alice-token' })).toMatchObject({
      userId: '@alice:example.org',
    });
    await expect(authenticator.whoAsks({ accessToken: 'bob-token' })).rejects.toMatchObject({ status: 503 });
    await authenticator.close();
  });

  it('believes the homeserver and not what the client says of itself', async () => {
    const fake = await startHomeserver(whoamiOf({ 'alice-token': alice }));
    const authenticator = openAuthenticator({
      staticTokens: nobody,
      homeserver: new Homeserver(fake.url),
      cache,
    });
    const claimed = { accessToken: 'alice-token', userId: '@bob:example.org', user_id: '@bob:example.org' };
    expect(await authenticator.whoAsks(claimed)).toEqual({ userId: '@alice:example.org', isGuest: false });
    expect(JSON.stringify(fake.asked)).not.toContain('bob');
    await authenticator.close();
    await fake.close();
  });

  it('is closed with the authenticator', async () => {
    const fake = await startHomeserver(whoamiOf({ 'alice-token': alice }));
    const homeserver = new Homeserver(fake.url);
    const authenticator = openAuthenticator({ staticTokens: nobody, homeserver, cache });
    await authenticator.close();
    await homeserver.close();
    await expect(homeserver.versions(undefined)).rejects.toMatchObject({ status: 503 });
    await fake.close();
  });
});
