import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

/** `--mode slow` runs the slow suite; any other mode runs the rest. */
export default defineConfig(({ mode }) => {
  const slow = mode === 'slow';
  const report = slow ? 'vitest-slow.json' : 'vitest.json';
  return {
    root,
    test: {
      include: [slow ? 'test/slow/**/*.slow.ts' : 'test/**/*.test.ts'],
      globalSetup: 'test/build.setup.ts',
      pool: 'forks',
      maxWorkers: 2,
      testTimeout: slow ? 300_000 : 30_000,
      hookTimeout: slow ? 300_000 : 30_000,
      reporters: process.env.CI ? ['default', 'json'] : ['default'],
      outputFile: { json: `node_modules/.cache/${report}` },
    },
  };
});
