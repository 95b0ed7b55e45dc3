/**
 * Does the configuration that operators begin with load as it is, and with every option in it that is a comment?
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterEach, beforeEach, describe, expect, it } from 'vitest';
import { loadConfig, type Config } from '../../src/config/load.js';

const text = readFileSync(new URL('../../src/deployment/config.yaml', import.meta.url), 'utf8');

describe('src/deployment/config.yaml', () => {
  let folder: string;

  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), 'mutual-rooms-deployment-'));
    for (const name of ['postgres-password', 'service-token']) writeFileSync(join(folder, name), 'secret\n');
  });

  afterEach(() => rmSync(folder, { recursive: true }));

  const load = (yaml: string): Config => {
    const file = join(folder, 'config.yaml');
    writeFileSync(file, yaml);
    return loadConfig({ file, env: {} });
  };

  it('loads as it is, beside a file with the password', () => {
    const config = load(text);
    expect(config.dataDir).toBe(join(folder, 'data'));
    expect(config.source?.synapse?.postgres.password).toBe('secret');
    expect(config.serviceToken).toBeUndefined();
  });

  it('loads with every option that it shows as a comment', () => {
    const whole = text.replace(/^( *)# ([a-z_]+: .*)$/gm, '$1$2');
    const config = load(whole);
    expect(config.serviceToken).toBe('secret');
    expect(config.metrics.listen).toEqual({ host: '127.0.0.1', port: 9090 });
    expect(config.source?.synapse?.redis).toMatchObject({ host: '127.0.0.1', port: 6379 });
  });

  it('shows the default of an option, where there is one', () => {
    const bare = load(text);
    const shown = load(
      text.replace(/^( *)# ((?!stale_after|redis|tls|metrics|service)[a-z_]+: .*)$/gm, '$1$2'),
    );
    expect(shown).toEqual({ ...bare, source: shown.source });
    expect(shown.source?.synapse).toMatchObject({ ...bare.source?.synapse, postgres: { port: 5432 } });
  });
});
