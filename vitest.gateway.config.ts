import { defineConfig } from 'vitest/config';

/** The tests in a real gateway. `npm run test:gateway` provides what they need. */
export default defineConfig({
  test: {
    include: ['e2e/**/*.test.ts'],
    globalSetup: ['e2e/support/installed.ts'],
    pool: 'forks',
    env: { TZ: 'UTC' },
    // One gateway at a time: two of them on two cores would only wait for each other.
    fileParallelism: false,
    testTimeout: 120_000,
    hookTimeout: 240_000,
  },
});
