/** SIGKILL at any moment, into any operation, on the real command line, against a real S3 server. */
import { mkdtempSync, rmSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { afterAll, beforeAll, describe, expect, it } from 'vitest';
import { cases, Random, report, seed } from './campaign-support.ts';
import { Season } from './kills-support.ts';
import { processesCanRun, Server } from './process-support.ts';

/** How many kills one state lives through. */
const KILLS = cases(16, 42);
const SEASONS = cases(1, 12);
/** Far more than it takes, in milliseconds. */
const PATIENCE_MS = cases(10, 60) * 60_000;

describe.skipIf(!processesCanRun)('commands that are killed (needs Linux, the addon and the tools)', () => {
  let folder: string;
  let server: Server;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'b2-kills-'));
    server = await Server.start(join(folder, 'buckets'));
  });
  afterAll(async () => {
    await server.stop();
    rmSync(folder, { recursive: true, force: true });
  });

  it.each(Array.from({ length: SEASONS }, (_, at) => at + 1))(
    `leave nothing locked, lost or half done: season %d of seed ${seed}`,
    async (number) => {
      const season = new Season(join(folder, `season-${number}`), server, new Random(seed, number), number);
      const counted: Record<string, number> = { kills: 0, over: 0, restored: 0 };
      const count = (name: string, by = 1): void => {
        counted[name] = (counted[name] ?? 0) + by;
      };
      try {
        await season.begin(seed * 1_000 + number);
        while ((counted['kills'] ?? 0) < KILLS) {
          const killed = await season.kill();
          if (killed === undefined) {
            count('over');
            continue;
          }
          count('kills');
          count(`${killed.kind} ${killed.victim}`);
          if (killed.staged) count('while applying');
          if ((counted['kills'] ?? 0) % 15 === 0) count('restored', await season.audit({ all: false }));
        }
        count('restored', await season.audit({ all: true }));
      } catch (error) {
        throw new Error(
          `seed ${seed}, season ${number}:\n${season.log.slice(-6).join('\n')}\n${String(error)}`,
          {
            cause: error,
          },
        );
      }
      report('kills', `season ${number}`, counted);
      expect(counted['restored']).toBeGreaterThan(0);
    },
    PATIENCE_MS,
  );
});
