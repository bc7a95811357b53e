import { defineConfig } from 'vitest/config';

export default defineConfig({
  test: {
    include: ['__test__/**/*.test.ts'],
    // Addons and signal handlers want processes, not threads.
    pool: 'forks',
    env: { TZ: 'UTC' },
    // For what hangs. Some start npm or the command a dozen times, and take ten times as long beside a compiler.
    testTimeout: 300_000,
    hookTimeout: 300_000,
  },
});
