import { fileURLToPath } from 'node:url';
import { defineConfig } from 'vitest/config';

const root = fileURLToPath(new URL('..', import.meta.url));

/** `--mode slow` runs the slow suite; any other mode runs the rest. What is in both says how much of it: see runs.ts. */
export default defineConfig(({ mode }) => {
  const slow = mode === 'slow';
  const report = slow ? 'vitest-slow.json' : 'vitest.json';
  const reporters = [slow ? 'default' : 'dot'];
  return {
    root,
    test: {
      include: [slow ? 'test/slow/**/*.slow.ts' : 'test/**/*.test.ts', 'test/**/*.both.ts'],
      env: { TEST_SUITE: slow ? 'slow' : 'fast' },
      globalSetup: 'test/build.setup.ts',
      // What tests print is of use where one fails.
      silent: slow ? false : 'passed-only',
      pool: 'forks',
      maxWorkers: 2,
      testTimeout: slow ? 300_000 : 30_000,
      hookTimeout: slow ? 300_000 : 30_000,
      reporters: process.env.CI ? [...reporters, 'json'] : reporters,
      outputFile: { json: `node_modules/.cache/${report}` },
    },
  };
});
