/** Does anything of what clients send end up in the log? No token, no user ID, no room ID, at any level. */
import { expect, test } from 'vitest';
import { HomeserverStub } from './homeserver-stub.js';
import {
  alice,
  bob,
  configWithHomeserver,
  membershipsPath,
  openServer,
  serviceToken,
  stablePath,
  unstablePath,
} from './server-under-test.js';

test('tokens, user IDs and room IDs are in no line of the log, and in no metric', async () => {
  const stub = await HomeserverStub.start();
  try {
    stub.knows('dynamic-secret', alice);
    stub.whoami.set('broken-secret', { status: 500, body: 'who is broken-secret' });
    const server = await openServer(
      configWithHomeserver(stub.url, {
        auth: { staticTokens: new Map([['static-secret', bob]]) },
        rateLimit: { perSecond: 0.1, burst: 12 },
      }),
    );
    await server.join([alice, bob], ['!secret-room:x', '!secret2:x', '!secret3:x', '!secret4:x']);
    const query = `user_id=${bob}`;
    const asTokens = ['dynamic-secret', 'broken-secret', 'static-secret', 'unknown-secret'];
    for (const token of asTokens) {
      await server.ask(`${stablePath}?${query}`, { token });
      await server.ask(`${stablePath}?${query}&access_token=${token}`);
      await server.ask(`${stablePath}?${query}&access_token=${token}&from=forged-secret`);
      await server.ask(`${unstablePath}/${bob}?access_token=${token}`);
      await server.ask(`/nothing/${alice}?access_token=${token}`);
      await server.ask(`/%zz/${alice}?access_token=${token}`);
      await server.ask(`${stablePath}?${query}&access_token=${token}`, { method: 'DELETE' });
      await server.ask(`/_matrix/client/versions?access_token=${token}`);
    }
    for (let more = 0; more < 15; more += 1)
      await server.ask(`${stablePath}?${query}`, { token: 'dynamic-secret' });
    await server.exchange(`GET /${alice}?access_token=raw-secret nonsense\r\n\r\n`);
    for (const token of [serviceToken, 'wrong-secret']) {
      await server.ask(membershipsPath, {
        method: 'POST',
        token,
        headers: { 'content-type': 'application/x-ndjson' },
        body:
          `{"user_id":"${alice}","room_id":"!secret5:x","membership":"join"}\n` +
          `{"user_id":"${alice}","room_id":"!secret6:x","membership":"broken"}\n`,
      });
    }
    const metrics = await server.ask('/metrics');
    await server.close();

    const everything = server.logged.join('');
    expect(everything).not.toBe('');
    for (const text of [everything, metrics.text]) {
      expect(text).not.toMatch(/secret/);
      expect(text).not.toContain(serviceToken);
      expect(text).not.toMatch(/alice|bob|hs\.example|access_token/);
    }
  } finally {
    await stub.close();
  }
});
