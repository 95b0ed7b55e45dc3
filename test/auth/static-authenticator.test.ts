import { StaticAuthenticator } from '../../src/auth/static-authenticator.js';
import { authenticatorContract } from '../contract/authenticator-contract.js';

authenticatorContract('static tokens', async () => ({
  authenticator: new StaticAuthenticator(
    new Map([
      ['alice-token', '@alice:example.org'],
      ['bob-token', '@bob:example.org'],
    ]),
  ),
  close: async () => {},
}));
