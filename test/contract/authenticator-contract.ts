/**
 * What every authenticator promises, whatever stands behind it.
 */
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import type { Authenticator } from '../../src/auth/authenticator.js';

/** Knows two tokens: `alice-token` of @alice:example.org and `bob-token` of @bob:example.org. */
export interface OpenedAuthenticator {
  readonly authenticator: Authenticator;
  /** Closes what stands behind the authenticator. */
  close(): Promise<void>;
}

export function authenticatorContract(name: string, open: () => Promise<OpenedAuthenticator>): void {
  describe(`${name}: the contract of authenticators`, () => {
    let opened: OpenedAuthenticator;
    let authenticator: Authenticator;

    beforeEach(async () => {
      opened = await open();
      ({ authenticator } = opened);
    });

    afterEach(async () => {
      await authenticator.close();
      await opened.close();
    });

    it('tells users apart by their tokens', async () => {
      const [alice, bob] = await Promise.all([
        authenticator.whoAsks({ accessToken: 'alice-token' }),
        authenticator.whoAsks({ accessToken: 'bob-token' }),
      ]);
      expect(alice).toEqual({ userId: '@alice:example.org', isGuest: false });
      expect(bob).toEqual({ userId: '@bob:example.org', isGuest: false });
    });

    it('answers the same again, whatever else the client says of itself', async () => {
      const first = await authenticator.whoAsks({ accessToken: 'alice-token' });
      const again = await authenticator.whoAsks({
        accessToken: 'alice-token',
        userAgent: '@bob:example.org',
        forwardedFor: '192.0.2.1',
      });
      expect(again).toEqual(first);
    });

    it.each([
      ['an unknown token', 'carol-token'],
      ['an empty token', ''],
      ['the beginning of a token', 'alice-toke'],
      ['a token and more', 'alice-token2'],
      ['a token in another case', 'Alice-Token'],
      ['a token with a space before it', ' alice-token'],
      ['a token with a line break after it', 'alice-token\r\nX-Evil: yes'],
      ['a token beyond latin1', 'alice-token\u{1f512}'],
      ['half a surrogate pair', '\ud800'],
      ['a user ID', '@alice:example.org'],
      ['a name that objects have', '__proto__'],
    ])('refuses %s, twice the same', async (_what, accessToken) => {
      for (let i = 0; i < 2; i++) {
        await expect(authenticator.whoAsks({ accessToken })).rejects.toMatchObject({
          name: 'MatrixError',
          status: 401,
          errcode: 'M_UNKNOWN_TOKEN',
        });
      }
    });

    it('does not repeat the token in a refusal', async () => {
      const error: unknown = await authenticator
        .whoAsks({ accessToken: 'secret-stuff' })
        .catch((e: unknown) => e);
      expect((error as Error).message).not.toContain('secret-stuff');
    });

    it('closes twice without complaint', async () => {
      await authenticator.close();
      await authenticator.close();
    });
  });
}
